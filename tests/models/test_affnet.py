import pytest
import torch

from mmfreq.models import AFFNet
from mmfreq.models.backbones.affnet import StdLayerNorm
from mmfreq.models.mixers import AdaptiveFilter

TINY = dict(embed_dims=(8, 16, 24, 32), depths=(1, 2, 1, 1), expand_ratio=2)


@pytest.mark.parametrize(
    ('arch', 'parameters'), [('et', 859_264), ('t', 1_885_232), ('base', 4_607_696)]
)
def test_parameter_counts_of_the_original(arch, parameters):
    model = AFFNet(arch=arch, out_indices=(0, 4))
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize('output_stride', [8, 16, 32])
def test_output_strides(output_stride):
    model = AFFNet(arch=TINY, output_stride=output_stride)
    outs = model(torch.randn(1, 3, 96, 128))
    strides = [min(stride, output_stride) for stride in (4, 8, 16, 32)]
    assert [tuple(out.shape[2:]) for out in outs] == [(96 // s, 128 // s) for s in strides]
    dilations = [stage.downsample.depthwise.conv.dilation[0] for stage in model.stages]
    assert dilations == {8: [1, 1, 1, 2], 16: [1] * 4, 32: [1] * 4}[output_stride]


@pytest.mark.parametrize('backend', ['fft', 'gemm'])
@pytest.mark.parametrize('size', [(1, 1), (2, 3), (7, 6)])
def test_mask_against_the_formula(size, backend):
    mixer = AdaptiveFilter(16, dict(type='ReLU')).double()
    mixer.backend = backend

    def mix(x):
        return mixer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    for param in mixer.parameters():
        torch.nn.init.normal_(param)
    x = torch.randn(2, 16, *size, dtype=torch.float64, requires_grad=True)
    spectrum = torch.fft.rfft2(x, norm='ortho')
    blocks = spectrum.unflatten(1, (8, 2))

    def complex_linear(z, weight, bias):
        weight = torch.complex(weight[0], weight[1])
        bias = torch.complex(bias[0], bias[1])
        return torch.einsum('bkihw,kio->bkohw', z, weight) + bias[None, :, :, None, None]

    hidden = complex_linear(blocks, mixer.w1, mixer.b1)
    hidden = torch.complex(hidden.real.relu(), hidden.imag.relu())
    mask = complex_linear(hidden, mixer.w2, mixer.b2)
    shrink = torch.nn.Softshrink(0.01)
    mask = torch.complex(shrink(mask.real), shrink(mask.imag)).flatten(1, 2)
    expected = x + torch.fft.irfft2(mask * spectrum, s=size, norm='ortho')
    torch.testing.assert_close(mix(x), expected)
    parameters = [x, *mixer.parameters()]
    probe = torch.randn_like(expected)
    ours = torch.autograd.grad((mix(x) * probe).sum(), parameters)
    torch.testing.assert_close(ours, torch.autograd.grad((expected * probe).sum(), parameters))


def test_channels_that_blocks_cannot_divide_are_named():
    with pytest.raises(ValueError, match='8 blocks and cannot divide 20'):
        AFFNet(arch={**TINY, 'embed_dims': (8, 16, 20, 32)})
    AFFNet(arch={**TINY, 'embed_dims': (9, 16, 24, 32)})  # the first stage has no filters


def test_wrong_output_stride_is_named():
    with pytest.raises(ValueError, match='output_stride must be 8, 16 or 32, got 4'):
        AFFNet(output_stride=4)


def test_std_layer_norm():
    norm = StdLayerNorm(5).double()
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    normed = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True, unbiased=False) + 1e-5)
    expected = normed * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_segmentation_checkpoint_of_cvnets(tmp_path):
    """Its encoder has a prefix, and the head's tensors are dropped."""
    source = AFFNet(arch=TINY)
    renamed = {}
    for name, tensor in source.state_dict().items():
        for ours, original in (
            ('patch_embed.0.', 'conv_1.block.'),
            ('patch_embed.1.', 'layer_1.0.'),
            ('stages.0.downsample.', 'layer_2.0.'),
            ('stages.0.blocks.0.', 'layer_2.1.'),
            ('fusion.norm.', '1.global_rep.9.'),
            ('fusion.proj.', '1.conv_proj.block.'),
            ('fusion.fuse.', '1.fusion.block.'),
            ('blocks.', '1.global_rep.'),
            ('downsample.', '0.'),
            ('token_mixer.', 'filter.'),
            ('expand.', 'block.exp_1x1.block.'),
            ('depthwise.', 'block.conv_3x3.block.'),
            ('project.', 'block.red_1x1.block.'),
            ('stages.1.', 'layer_3.'),
            ('stages.2.', 'layer_4.'),
            ('stages.3.', 'layer_5.'),
            ('.bn.', '.norm.'),
        ):
            name = name.replace(ours, original)
        renamed[f'encoder.{name}'] = tensor
    renamed['seg_head.aspp.weight'] = torch.zeros(3)
    torch.save({'model_state_dict': renamed}, tmp_path / 'a.pt')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pt'))
    model = AFFNet(arch=TINY, init_cfg=init_cfg)
    model.init_weights()
    for name, tensor in source.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
