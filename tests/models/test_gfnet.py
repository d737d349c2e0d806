import copy

import pytest
import torch

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
        (dict(arch=dict(patch_size=4)), r"missing \['depths', 'embed_dims'\]"),
        (dict(arch={**TINY, 'dims': 3}), r"unknown \['dims'\]"),
        (dict(arch={**TINY, 'depths': (1, 2)}), 'same length'),
    ],
)
def test_wrong_archs_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


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
