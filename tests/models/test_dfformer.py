import pytest
import torch

from mmfreq.models import CDFFormer, DFFormer, GFFormer
from mmfreq.models.mixers import DynamicFilter, ExpandedGlobalFilter, SeparableConv

TINY = dict(embed_dims=(8, 16, 24, 32), depths=(1, 2, 1, 1))
HEADS = dict(s18=3_103_720, s36=3_103_720, m36=3_639_016, b36=5_441_512)


@pytest.mark.parametrize(
    ('network', 'arch', 'parameters'),
    [  # with the original's classifier at 224
        (DFFormer, 's18', 30_324_372),
        (DFFormer, 's36', 45_610_656),
        (DFFormer, 'm36', 65_316_064),
        (DFFormer, 'b36', 114_989_344),
        (CDFFormer, 's18', 30_193_512),
        (CDFFormer, 's36', 45_230_658),
        (CDFFormer, 'm36', 64_433_218),
        (CDFFormer, 'b36', 113_368_642),
        (GFFormer, 's18', 29_639_856),
    ],
)
def test_parameter_counts_of_the_original(network, arch, parameters):
    with torch.device('meta'):
        model = network(arch=arch, out_indices=-1)
    assert sum(p.numel() for p in model.parameters()) == parameters - HEADS[arch]


@pytest.mark.parametrize(
    ('network', 'arch', 'img_size', 'parameters'),
    [  # dense models of the original, with four norms
        (DFFormer, 's18', 512, 27_456_876),
        (DFFormer, 's36', 800, 43_581_264),
        (DFFormer, 'm36', 800, 62_751_696),
        (CDFFormer, 's18', 800, 27_183_480),
        (CDFFormer, 'm36', 512, 60_860_538),
    ],
)
def test_parameter_counts_at_other_sizes(network, arch, img_size, parameters):
    with torch.device('meta'):
        model = network(arch=arch, img_size=img_size)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ('arguments', 'parameters'),
    [(dict(num_filters=2), 28_526_004), (dict(reweight_ratio=1 / 8), 28_333_716)],
)
def test_ablations_of_the_original(arguments, parameters):
    with torch.device('meta'):
        model = DFFormer(arch='s18', out_indices=-1, **arguments)
    assert sum(p.numel() for p in model.parameters()) == parameters - HEADS['s18']


def test_mixers_of_the_stages():
    def mixers(model):
        return [type(stage.blocks[0].token_mixer) for stage in model.stages]

    assert mixers(DFFormer(arch=TINY)) == [DynamicFilter] * 4
    assert mixers(CDFFormer(arch=TINY)) == [SeparableConv] * 2 + [DynamicFilter] * 2
    assert mixers(GFFormer(arch=TINY)) == [ExpandedGlobalFilter] * 4


def test_filters_are_stored_for_the_image_size():
    model = DFFormer(arch=TINY, img_size=(333, 500))
    sizes = [stage.blocks[0].token_mixer.filters.size for stage in model.stages]
    assert sizes == [(83, 125), (42, 63), (21, 32), (11, 16)]
    outs = model(torch.randn(1, 3, 333, 500))
    assert [tuple(out.shape[2:]) for out in outs] == sizes


def test_coefficients_are_convex_and_per_sample():
    mixer = DynamicFilter(8, (6, 7), num_filters=3, reweight_ratio=0.5).double()
    for param in mixer.parameters():
        torch.nn.init.normal_(param)
    x = torch.randn(2, 6, 7, 8, dtype=torch.float64)
    coefficients = mixer.reweight(x.mean((1, 2))).reshape(2, 3, 16).softmax(1)
    torch.testing.assert_close(coefficients.sum(1), torch.ones(2, 16, dtype=torch.float64))
    basis = torch.view_as_complex(mixer.filters.weight)
    expanded = mixer.act(mixer.pwconv1(x))
    filters = torch.einsum('bnc,nhw->bhwc', coefficients.to(basis.dtype), basis)
    product = torch.fft.rfft2(expanded, dim=(1, 2), norm='ortho') * filters
    expected = mixer.pwconv2(torch.fft.irfft2(product, s=(6, 7), dim=(1, 2), norm='ortho'))
    torch.testing.assert_close(mixer(x), expected)


@pytest.mark.parametrize('arguments', [dict(num_filters=0), dict(reweight_ratio=0.01)])
def test_wrong_coefficients_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DFFormer(arch=TINY, **arguments)


@pytest.mark.parametrize('network', [DFFormer, CDFFormer, GFFormer])
def test_own_checkpoint_at_another_size(network, tmp_path):
    source = network(arch=TINY, img_size=(96, 64))
    torch.save(source.state_dict(), tmp_path / 'a.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    model = network(arch=TINY, img_size=(64, 160), init_cfg=init_cfg)
    model.init_weights()
    assert model.resize_mode == 'kernel'
    x = torch.randn(1, 3, 64, 160)
    for loaded, resized in zip(model.eval()(x), source.eval()(x), strict=True):
        torch.testing.assert_close(loaded, resized, rtol=1e-4, atol=1e-4)
