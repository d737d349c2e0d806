import copy

import pytest
import torch
from torch import nn

from mmfreq.models import GFNet

TINY = dict(patch_size=4, embed_dims=(8, 16, 24, 32), depths=(1, 2, 1, 1), layer_scale_init=0.1)
FLAT = dict(patch_size=16, embed_dims=16, depths=6)


def tiny(arch=TINY, **kwargs):
    return GFNet(arch=copy.deepcopy(arch), **{'img_size': 64, **kwargs})


@pytest.mark.parametrize(
    ('arch', 'img_size', 'parameters'),
    [  # without the classifier of 1000 x dim + 1000, FACTS of the original
        ('ti', 224, 7_511_784 - 257_000),
        ('xs', 224, 15_985_768 - 385_000),
        ('s', 224, 24_869_608 - 385_000),
        ('b', 224, 43_120_616 - 513_000),
        ('h-ti', 224, 15_085_096 - 513_000),
        ('h-s', 224, 32_162_632 - 769_000),
        ('h-b', 224, 53_744_200 - 769_000),
        ('h-ti', 512, 22_371_880 - 513_000),
        ('h-s', 512, 43_092_808 - 769_000),
        ('h-b', 512, 70_314_568 - 769_000),
    ],
)
def test_parameter_counts_of_the_original(arch, img_size, parameters):
    with torch.device('meta'):
        model = GFNet(arch=arch, img_size=img_size, out_indices=-1)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize('size', [(64, 64), (61, 83), (97, 131), (32, 200), (5, 7), (1, 1)])
@pytest.mark.parametrize('resize_mode', ['interpolate', 'kernel', 'spectrum'])
def test_any_size(size, resize_mode):
    model = tiny(resize_mode=resize_mode)
    outs = model(torch.randn(2, 3, *size))
    for out, channels, stride in zip(outs, (8, 16, 24, 32), (4, 8, 16, 32), strict=True):
        assert out.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert out.isfinite().all()


def test_isotropic_outputs_after_blocks():
    model = tiny(FLAT)
    assert model.out_indices == (0, 2, 3, 5)
    assert [tuple(out.shape) for out in model(torch.randn(1, 3, 70, 64))] == [(1, 16, 5, 4)] * 4


@pytest.mark.parametrize(
    ('arch', 'expected'), [('ti', (2, 5, 8, 11)), ('s', (3, 8, 13, 18)), ('h-ti', (0, 1, 2, 3))]
)
def test_default_out_indices(arch, expected):
    with torch.device('meta'):
        assert GFNet(arch=arch).out_indices == expected


@pytest.mark.parametrize('out_indices', [0, -1, (1,), (0, 2), (1, 2, 3), (0, 1, 2, 3), (-2, -1)])
@pytest.mark.parametrize('arch', [TINY, FLAT], ids=['pyramid', 'isotropic'])
@pytest.mark.parametrize('out_norm', [dict(type='LN'), None], ids=['norm', 'raw'])
def test_every_parameter_has_a_gradient(out_indices, arch, out_norm):
    model = tiny(arch, out_indices=out_indices, out_norm=out_norm)
    outs = model(torch.randn(2, 3, 70, 64))
    assert len(outs) == len(model.out_indices) == len(model.out_channels)
    assert tuple(out.shape[1] for out in outs) == model.out_channels
    sum((out**2).mean() for out in outs).backward()
    for name, param in model.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name


def test_out_norm():
    x = torch.randn(2, 3, 64, 64)
    model = tiny().eval()
    raw = tiny(out_norm=None).eval()
    raw.load_state_dict(model.state_dict(), strict=False)
    for i, (normed, plain) in enumerate(zip(model(x), raw(x), strict=True)):
        nn.init.normal_(getattr(model, f'norm{i}').weight)
        expected = nn.functional.layer_norm(plain.permute(0, 2, 3, 1), plain.shape[1:2], eps=1e-6)
        torch.testing.assert_close(normed, expected.permute(0, 3, 1, 2))
    assert not [name for name, _ in raw.named_parameters() if name.startswith('norm')]
    batch_normed = tiny(out_norm=dict(type='BN'), norm_eval=True).train()
    assert not batch_normed.norm0.training and batch_normed.stages[0].training
    assert batch_normed(x)[0].shape == (2, 8, 16, 16)


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2, 4])
def test_frozen_stages(frozen_stages):
    model = tiny(frozen_stages=frozen_stages)
    assert model.train() is model
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    expected = set()
    if frozen_stages >= 0:
        prefixes = ['patch_embed.'] + [f'stages.{i}.' for i in range(frozen_stages)]
        prefixes += [f'norm{i}.' for i in range(frozen_stages)]
        expected = {n for n, _ in model.named_parameters() if n.startswith(tuple(prefixes))}
    assert frozen == expected
    assert [stage.training for stage in model.stages] == [i >= frozen_stages for i in range(4)]


def test_checkpointing_gives_the_same_loss_and_gradients():
    x = torch.randn(2, 3, 64, 64)
    plain, lean = tiny(drop_path_rate=0.5), tiny(drop_path_rate=0.5, with_cp=True)
    lean.load_state_dict(plain.state_dict())
    results = []
    for model in (plain, lean):
        torch.manual_seed(1)
        loss = sum((out**2).mean() for out in model.train()(x))
        loss.backward()
        results.append((loss, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(results[0], results[1])


def test_drop_path_grows_linearly():
    model = tiny(drop_path_rate=0.4)
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for s in model.stages for block in s.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize('dtype', [torch.bfloat16])
def test_autocast(dtype):
    model = tiny().eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.autocast('cpu', dtype=dtype):
        outs = model(x)
    with torch.no_grad():
        for out, exact in zip(outs, model(x), strict=True):
            torch.testing.assert_close(out.float(), exact, rtol=0.1, atol=0.1)


def test_layer_depths():
    model = tiny()
    depth = {n: model.get_layer_depth(f'backbone.{n}', 'backbone.') for n in model.state_dict()}
    assert depth['patch_embed.pos_embed'] == depth['patch_embed.proj.weight'] == (0, 7)
    assert depth['stages.0.blocks.0.norm1.weight'] == (1, 7)
    assert depth['stages.1.downsample.weight'] == depth['stages.1.blocks.0.mlp.fc1.bias'] == (2, 7)
    assert depth['stages.3.blocks.0.token_mixer.weight'] == (5, 7)
    assert depth['norm3.weight'] == model.get_layer_depth('head.fc', 'backbone.') == (6, 7)


def test_init_weights():
    model = tiny(init_cfg=None)
    model.init_weights()
    weight = model.stages[3].blocks[0].mlp.fc1.weight.detach()
    assert weight.std() == pytest.approx(0.02, rel=0.2)
    assert model.stages[0].blocks[0].token_mixer.weight.detach().std() == pytest.approx(
        0.02, rel=0.2
    )
    assert not model.stages[0].blocks[0].mlp.fc1.bias.any()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(arch='h-xl'), "arch must be one of .*'h-b'.* got 'h-xl'"),
        (dict(arch=dict(patch_size=4)), r"missing \['depths', 'embed_dims'\]"),
        (dict(arch={**TINY, 'dims': 3}), r"unknown \['dims'\]"),
        (dict(arch={**TINY, 'depths': (1, 2)}), 'same length'),
        (dict(out_indices=4), r'out_indices must be in \[-4, 3\], got 4'),
        (dict(out_indices=(2, 1)), 'ascending'),
        (dict(out_indices=(1, 1)), 'each once'),
        (dict(out_indices=()), 'at least one'),
        (dict(img_size=0), 'img_size'),
        (dict(img_size=(1, 2, 3)), 'img_size'),
        (dict(resize_mode='bicubic'), "resize mode must be one of .* got 'bicubic'"),
        (dict(drop_path_rate=1.5), 'drop_path_rate'),
        (dict(frozen_stages=5), 'frozen_stages'),
        (dict(frozen_stages=3, out_indices=(0, 1)), r'\[-1, 2\]'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


@pytest.mark.parametrize('shape', [(1, 3, 0, 8), (0, 3, 8, 8), (3, 8, 8), (1, 1, 8, 8)])
def test_wrong_images_are_named(shape):
    with pytest.raises(ValueError, match=r'B, 3, H, W'):
        tiny()(torch.zeros(shape))


def test_stored_resize_mode_follows_the_weights():
    """Weights trained with one way of resizing are evaluated with it, unless told otherwise."""
    trained = tiny()
    trained.set_resize_mode('interpolate')
    for requested, expected in ((None, 'interpolate'), ('kernel', 'kernel')):
        model = tiny(resize_mode=requested)
        model.load_state_dict(trained.state_dict())
        assert model.resize_mode == expected
        assert model.stages[0].blocks[0].token_mixer.resize_mode == expected
        assert copy.deepcopy(model).resize_mode == expected
