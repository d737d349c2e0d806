"""What is HorNet's own: gates, the filter of two halves, floored sizes, files of its authors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmfreq.models import HorNet
from mmfreq.models.mixers import DepthwiseConv, GlobalLocalFilter, RecursiveGatedConv

ARCH = dict(embed_dims=(8, 16, 24, 32), depths=(1, 1, 2, 1), layer_scale_init=0.1)


def test_gate_is_its_formula():
    mixer = RecursiveGatedConv(16, 3, lambda dim: DepthwiseConv(dim, 7)).double()
    x = torch.randn(2, 5, 6, 16, dtype=torch.float64)
    gate, rest = mixer.proj_in(x).split([4, 28], -1)
    conv = mixer.spatial_filter
    rest = F.conv2d(rest.permute(0, 3, 1, 2), conv.weight, conv.bias, padding=3, groups=28)
    parts = (rest.permute(0, 2, 3, 1) / 3).split([4, 8, 16], -1)
    y = gate * parts[0]
    for layer, part in zip(mixer.expansions, parts[1:], strict=True):
        y = layer(y) * part
    torch.testing.assert_close(mixer(x), mixer.proj_out(y))


@pytest.mark.parametrize('dim', [6, 7])
def test_filter_is_its_formula(dim):
    layer = GlobalLocalFilter(dim, (5, 6)).double()
    for norm in (layer.pre_norm, layer.post_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 6, dim, dtype=torch.float64)
    planes = layer.pre_norm(x).permute(0, 3, 1, 2)
    half = dim - dim // 2
    local = F.conv2d(planes[:, :half], layer.local_filters.weight, padding=1, groups=half)
    weight = torch.view_as_complex(layer.global_filters.weight)
    everywhere = torch.fft.irfft2(torch.fft.rfft2(planes[:, half:]) * weight, s=(5, 6))
    mixed = torch.empty_like(planes)
    mixed[:, 0::2], mixed[:, 1::2] = local, everywhere
    torch.testing.assert_close(layer(x), layer.post_norm(mixed.permute(0, 2, 3, 1)))


@pytest.mark.parametrize('stage', [-1, 4])
def test_stages_with_filters_are_stages(stage):
    with pytest.raises(ValueError, match='numbers of its 4 stages'):
        HorNet(arch=dict(ARCH, filter_stages=(stage,)))


def test_sizes_are_rounded_down_to_at_least_one():
    model = HorNet(arch=ARCH, img_size=(500, 333))
    assert model.sizes == [(125, 83), (62, 41), (31, 20), (15, 10)]
    for size in ((500, 333), (31, 70), (3, 5)):
        height, width = (max(side // 4, 1) for side in size)
        for out in model(torch.randn(1, 3, *size)):
            assert out.shape[2:] == (height, width)
            height, width = max(height // 2, 1), max(width // 2, 1)


def released(arch, img_size):
    """A file as the authors': their names and layouts, made from a network of ours."""
    model = HorNet(arch=arch, img_size=img_size)
    names = (
        ('patch_embed.conv.', 'downsample_layers.0.0.'),
        ('patch_embed.norm.', 'downsample_layers.0.1.'),
        *((f'stages.{i}.downsample.norm.', f'downsample_layers.{i}.0.') for i in (1, 2, 3)),
        *((f'stages.{i}.downsample.conv.', f'downsample_layers.{i}.1.') for i in (1, 2, 3)),
        ('.blocks.', '.'),
        ('.layer_scale1.weight', '.gamma1'),
        ('.layer_scale2.weight', '.gamma2'),
        ('.mlp.fc', '.pwconv'),
        ('.token_mixer.spatial_filter.global_filters.weight', '.gnconv.dwconv.complex_weight'),
        ('.token_mixer.spatial_filter.local_filters.', '.gnconv.dwconv.dw.'),
        ('.token_mixer.spatial_filter.', '.gnconv.dwconv.'),
        ('.token_mixer.expansions.', '.gnconv.pws.'),
        ('.token_mixer.', '.gnconv.'),
    )
    tensors = {}
    for name, param in model.named_parameters():
        for ours, theirs in names:
            name = name.replace(ours, theirs)
        is_linear = '.gnconv.' in name and name.endswith('weight') and param.ndim == 2
        tensors[name] = param.detach()[..., None, None] if is_linear else param.detach()
    return tensors, model


def test_a_checkpoint_is_resized_when_it_is_loaded_and_in_every_pass(tmp_path):
    tensors, old = released(ARCH, 224)
    average = {name: tensor + 1 for name, tensor in tensors.items()}
    torch.save({'model': tensors, 'model_ema': average}, tmp_path / 'hornet.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'hornet.pth'))
    model = HorNet(arch=ARCH, img_size=384, init_cfg=init_cfg)
    model.init_weights()
    assert model.resize_mode == 'interpolate'

    def bilinear(weight, size):
        planes = weight.movedim(-1, 0)
        return F.interpolate(planes, size, mode='bilinear', align_corners=True).movedim(0, -1)

    layer = model.stages[2].blocks[0].token_mixer.spatial_filter.global_filters
    stored = old.stages[2].blocks[0].token_mixer.spatial_filter.global_filters.weight
    once = bilinear(stored, (24, 13))
    torch.testing.assert_close(layer.weight, once)
    torch.testing.assert_close(layer.filter_for((32, 32)), bilinear(once, (32, 17)))

    averaged = HorNet(arch=ARCH, init_cfg=dict(init_cfg, prefix='model_ema'))
    averaged.init_weights()
    weight = averaged.patch_embed.conv.weight
    torch.testing.assert_close(weight, old.patch_embed.conv.weight + 1)


def test_bad_architectures_name_what_to_change():
    with pytest.raises(ValueError, match=r'2 \*\* \(order - 1\) = 4 divides, got 18'):
        HorNet(arch=dict(ARCH, embed_dims=(8, 18, 24, 32)))
    with pytest.raises(ValueError, match='an entry of orders for each of its 4 stages'):
        HorNet(arch=dict(ARCH, orders=(2, 3)))


@pytest.mark.parametrize('arch', ['tiny-gf', 'tiny-7x7'])
def test_files_of_mmpretrain(tmp_path, arch):
    from mmpretrain.models.backbones import HorNet as MMPretrainHorNet

    theirs = MMPretrainHorNet(
        arch=arch.removesuffix('-7x7'), out_indices=range(4), gap_before_final_norm=False
    )
    theirs.eval()  # returns nothing
    with torch.no_grad():
        for param in theirs.parameters():  # scales of branches begin near zero
            param.add_(torch.randn_like(param) * 0.1)
    tensors = {f'backbone.{name}': tensor for name, tensor in theirs.state_dict().items()}
    torch.save({'state_dict': tensors}, tmp_path / 'hornet.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'hornet.pth'))
    ours = HorNet(arch=arch, init_cfg=init_cfg)
    ours.init_weights()
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        for found, expected in zip(ours.eval()(images), theirs(images), strict=True):
            assert (found - expected).norm() / expected.norm() < 1e-5
