import pytest
import torch

from mmfreq.models import DSM
from mmfreq.models.mixers.dynamic_spectrum import DynamicSpectrum, SpectrumBands
from mmfreq.ops import dct2, idct2

ARCH = dict(embed_dims=(8, 16, 24, 32), depths=(1, 1, 1, 1))


@pytest.mark.parametrize(('arch', 'millions'), [('s', 28), ('b', 50)])
def test_sizes(arch, millions):
    with torch.device('meta'):
        model = DSM(arch=arch)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(1e6 * millions, rel=0.04)


def test_checkpoints_of_version_0_1_load():
    """They stored sizes of filters, which this network does not have."""
    source = DSM(arch=ARCH)
    tensors = source.state_dict()
    tensors['filter_sizes'], tensors['resize_mode_id'] = torch.ones(4, 2), torch.tensor(0)
    target = DSM(arch=ARCH)
    target.load_state_dict(tensors)
    torch.testing.assert_close(dict(target.state_dict()), dict(source.state_dict()))


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (14, 14), (25, 42)])
def test_profiles_share_the_spectrum(size):
    bands = SpectrumBands(8).double()
    for param in bands.parameters():
        torch.nn.init.normal_(param)
    profiles = bands(size)
    assert profiles.shape == (8, *size)
    assert profiles.min() >= 0
    torch.testing.assert_close(profiles.sum(0), torch.ones(size, dtype=torch.float64))
    profiles.square().sum().backward()
    assert all(param.grad.isfinite().all() for param in bands.parameters())


def test_profiles_mean_the_same_frequency_at_any_size():
    bands = SpectrumBands(8)
    torch.nn.init.normal_(bands.aspect)
    small, large = bands((14, 10)), bands((28, 30))
    torch.testing.assert_close(large[:, ::2, ::3], small)


def test_bands_start_in_order_and_one_dominates_somewhere():
    profiles = SpectrumBands(8)((128, 128))
    winners = profiles.argmax(0).diagonal()
    assert winners.tolist() == sorted(winners.tolist())
    assert set(winners.tolist()) == set(range(8))


@pytest.mark.parametrize('size', [(1, 1), (6, 9)])
def test_mixer_against_the_formula(size):
    mixer = DynamicSpectrum(16).double()
    for param in mixer.parameters():
        torch.nn.init.normal_(param)
    expanded = torch.randn(2, *size, 32, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, *size, 16, dtype=torch.float64, requires_grad=True)
    logits = mixer.logits + mixer.generator(x.mean((1, 2))).reshape(2, 8, 32)
    weights = torch.einsum('bkc,khw->bhwc', 2 * logits.sigmoid(), mixer.bands(size))
    expected = idct2(dct2(expanded) * weights)
    ours = mixer.mix(expanded, x)
    torch.testing.assert_close(ours, expected)
    leaves = [expanded, x, *mixer.bands.parameters(), mixer.logits]
    probe = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad((ours * probe).sum(), leaves),
        torch.autograd.grad((expected * probe).sum(), leaves),
    )


def test_gains_depend_on_the_image():
    mixer = DynamicSpectrum(16)
    torch.nn.init.normal_(mixer.generator.fc2.weight)
    expanded = torch.randn(1, 6, 6, 32)
    first, second = (mixer.mix(expanded, torch.randn(1, 6, 6, 16)) for _ in range(2))
    assert not torch.allclose(first, second)


def test_gains_that_are_not_dynamic_are_learned_and_the_same_for_all_images():
    model = DSM(arch=ARCH, dynamic=False)
    assert not any('generator' in name for name in model.state_dict())
    mixer = DynamicSpectrum(16, dynamic=False)
    expanded = torch.randn(2, 6, 6, 32)
    gains = mixer.gains(torch.randn(2, 6, 6, 16))
    assert gains.shape == (2, 8, 32)
    torch.testing.assert_close(gains, 2 * mixer.logits.sigmoid().expand(2, 8, 32))
    mixer.mix(expanded, torch.randn(2, 6, 6, 16)).square().sum().backward()
    assert mixer.logits.grad.abs().max() > 0
    with pytest.raises(ValueError, match='dynamic must be True or False'):
        DSM(arch=ARCH, dynamic='no')


def test_it_says_that_it_is_a_reconstruction():
    assert 'our reconstruction' in DSM.__doc__
