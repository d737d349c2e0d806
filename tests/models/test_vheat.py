"""What is vHeat's own: heat conduction, decays that are computed once, files of its authors."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmfreq.models import VHeat
from mmfreq.models.mixers import FrequencyEmbedding, HeatConduction, heat_conduction
from mmfreq.ops.frequencies import resize_coefficients

ARCH = dict(embed_dims=(8, 16, 24, 32), depths=(1, 2, 1, 1))


def cosine_matrix(size):
    n, i = torch.arange(size).double()[:, None], torch.arange(size).double()
    matrix = torch.cos(math.pi * n * (i + 0.5) / size) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def test_heat_conduction_is_its_formula():
    mixer, embedding = HeatConduction(4).double(), FrequencyEmbedding(4, (5, 6)).double()
    torch.nn.init.normal_(embedding.weight)
    x = torch.randn(2, 5, 6, 4, dtype=torch.float64)
    conv = F.conv2d(
        x.permute(0, 3, 1, 2), mixer.dwconv.weight, mixer.dwconv.bias, padding=1, groups=4
    )
    signal, gate = mixer.linear(conv.permute(0, 2, 3, 1)).chunk(2, -1)
    rows, columns = cosine_matrix(5), cosine_matrix(6)
    spectrum = torch.einsum('ni,mj,bijc->bnmc', rows, columns, signal)
    w = [math.pi * torch.arange(side).double() / side for side in (5, 6)]
    k = mixer.to_k(embedding.weight).relu()
    spectrum = spectrum * torch.exp(-(w[0][:, None, None] ** 2 + w[1][:, None] ** 2)) ** k
    y = torch.einsum('ni,mj,bnmc->bijc', rows, columns, spectrum)
    expected = mixer.out_linear(mixer.out_norm(y) * F.silu(gate))
    torch.testing.assert_close(mixer(x, embedding), expected)


def test_decays_are_computed_once_for_a_size_and_a_state(monkeypatch):
    model, calls = VHeat(arch=ARCH, img_size=64).eval(), []
    compute = heat_conduction._decay

    def counting(*arguments):
        calls.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(heat_conduction, '_decay', counting)
    images = torch.randn(1, 3, 64, 48)
    with torch.no_grad():
        first = model(images)
        assert len(calls) == 5
        second = model(images)
        assert len(calls) == 5
        model(torch.randn(1, 3, 32, 32))
        model(images)
        assert len(calls) == 10
        for param in model.parameters():
            param.data.mul_(1.1)  # as averages of weights are swapped in
        changed = model(images)
        assert len(calls) == 15
    for a, b, c in zip(first, second, changed, strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)
    model(images)  # with gradients
    assert len(calls) == 20


@pytest.mark.parametrize('size', [(1, 1), (64, 32), (33, 97)])
def test_maps_of_one_pixel(size):
    model = VHeat(arch=ARCH, img_size=64)
    height, width = (-(-side // 4) for side in size)
    for out in model(torch.randn(1, 3, *size)):
        assert out.shape[2:] == (height, width)
        height, width = -(-height // 2), -(-width // 2)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_low_precision_is_only_in_features(dtype):
    model = VHeat(arch=ARCH, img_size=64).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(images)
        with torch.autocast('cpu', torch.bfloat16):
            mixed = model(images)
        low = model.to(dtype)(images.to(dtype))
    for exact, other in zip(expected * 2, mixed + low, strict=True):
        assert (other.float() - exact).norm() / exact.norm() < 0.03


def test_resizing_by_true_frequencies_keeps_what_is_linear_in_them():
    def ramp(height, width):
        rows, columns = (torch.arange(n).double() / (2 * n) for n in (height, width))
        return torch.stack([rows[:, None] + 0 * columns, columns + 0 * rows[:, None]], -1)

    smaller = resize_coefficients(ramp(8, 12), (4, 6), 'kernel')
    torch.testing.assert_close(smaller, ramp(4, 6))
    larger = resize_coefficients(ramp(8, 12), (16, 24), 'kernel')
    highest = torch.tensor([7 / 16, 11 / 24]).double()
    torch.testing.assert_close(larger, ramp(16, 24).minimum(highest))


def test_resizing_as_in_the_original():
    weight = torch.randn(6, 5, 3)
    padded = resize_coefficients(weight, (8, 9), 'spectrum')
    assert torch.equal(padded[:6, :5], weight)
    assert not padded[6:].any() and not padded[:, 5:].any()
    assert torch.equal(resize_coefficients(weight, (4, 3), 'spectrum'), weight[:4, :3])
    bicubic = F.interpolate(weight.permute(2, 0, 1)[None], (8, 9), mode='bicubic')
    found = resize_coefficients(weight, (8, 9), 'interpolate')
    torch.testing.assert_close(found, bicubic[0].permute(1, 2, 0))
    with pytest.raises(ValueError, match=r"'interpolate', 'kernel', 'spectrum'.*got 'pad'"):
        resize_coefficients(weight, (8, 9), 'pad')


def released(arch, img_size):
    """A file as the authors': their names and layouts, made from a network of ours."""
    model = VHeat(arch=arch, img_size=img_size)
    tensors = {}
    for name, param in model.named_parameters():
        for i, depth in enumerate(arch['depths'][:-1]):
            name = name.replace(f'stages.{i + 1}.downsample.conv.', f'layers.{i}.{depth}.0.')
            name = name.replace(f'stages.{i + 1}.downsample.norm.', f'layers.{i}.{depth}.1.')
        for ours, theirs in (
            ('patch_embed.0.conv.', 'patch_embed.conv1.'),
            ('patch_embed.0.norm.', 'patch_embed.norm1.1.'),
            ('patch_embed.2.conv.', 'patch_embed.conv2.'),
            ('patch_embed.2.norm.', 'patch_embed.norm2.1.'),
            *((f'stages.{i}.freq_embed.weight', f'freq_embed.{i}') for i in range(4)),
            ('stages.', 'layers.'),
            ('.blocks.', '.'),
            ('.token_mixer.to_k.', '.op.to_k.0.'),
            ('.token_mixer.', '.op.'),
        ):
            name = name.replace(ours, theirs)
        if not name.startswith('norm'):
            is_conv = '.mlp.' in name and param.ndim == 2
            tensors[name] = param.detach()[..., None, None] if is_conv else param.detach()
    tensors['classifier.0.weight'] = torch.full((32,), 2.0)
    tensors['classifier.0.bias'] = torch.full((32,), 3.0)
    return tensors, model


def test_a_checkpoint_is_padded_when_it_is_loaded_and_interpolated_in_every_pass(tmp_path):
    tensors, old = released(ARCH, 64)
    torch.save({'model': tensors}, tmp_path / 'vheat.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vheat.pth'))
    model = VHeat(arch=ARCH, img_size=96, init_cfg=init_cfg)
    model.init_weights()
    assert model.resize_mode == 'interpolate'
    stored, embedding = old.stages[0].freq_embed.weight, model.stages[0].freq_embed
    padded = F.pad(stored, (0, 0, 0, 8, 0, 8))
    assert torch.equal(embedding.weight, padded)
    vectors = embedding.vectors_for((20, 30))
    torch.testing.assert_close(vectors, resize_coefficients(padded, (20, 30), 'interpolate'))
    assert model.norm3.weight.unique().tolist() == [1]  # the classifier's is not for this model
    again = VHeat(arch=ARCH, img_size=96)
    assert again.resize_mode == 'kernel'
    again.load_state_dict(model.state_dict())
    assert again.resize_mode == 'interpolate'
    classifier = VHeat(arch=ARCH, img_size=64, out_indices=3, init_cfg=init_cfg)
    classifier.init_weights()
    assert classifier.norm3.weight.unique().tolist() == [2]
    assert classifier.norm3.bias.unique().tolist() == [3]


def test_norms_behind_the_branches():
    arch = dict(ARCH, post_norm=True, layer_scale_init=0.1)
    stage = VHeat(arch=arch, img_size=64).double().stages[0]
    block, x = stage.blocks[0], torch.randn(2, 16, 16, 8, dtype=torch.float64)
    y = x + 0.1 * block.norm1(block.token_mixer(x, stage.freq_embed))
    expected = y + 0.1 * block.norm2(block.mlp(y))
    torch.testing.assert_close(block(x, *stage.shared()), expected)
