"""What backbones have in common is declared once and shown by all of them."""

import ast
import inspect
import re
from types import NoneType

import pytest
from families import TINY
from torch import nn
from typing_extensions import Unpack

import mmfreq.models
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.backbones.options import BackboneOptions, ResizableOptions
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.layers import SpectralModule
from mmfreq.registry import MODELS
from mmfreq.zoo import backbone_names, set_image_size

COMMON = BackboneOptions.__annotations__
NETWORKS = [getattr(mmfreq.models, name) for name in mmfreq.models.backbones.__all__]


@pytest.fixture(params=NETWORKS, ids=lambda network: network.__name__)
def network(request):
    return request.param


def test_the_declaration_is_what_the_constructors_take():
    taken = inspect.signature(StagedBackbone.__init__).parameters
    assert set(COMMON) == set(taken) - {'self', 'stem', 'stage', 'embed_dims', 'depths'}
    assert set(COMMON) < set(ResizableOptions.__annotations__)


def test_signature_shows_every_argument(network):
    resizable = issubclass(network, ResizableBackbone)
    declared = (ResizableOptions if resizable else BackboneOptions).__annotations__
    shown = inspect.signature(network).parameters
    assert next(iter(shown)) == 'arch'
    assert set(declared) <= set(shown)
    assert 'options' not in shown and 'kwargs' not in shown
    assert ('img_size' in shown) == resizable


def test_documentation_describes_every_argument(network):
    documented = next(kind for kind in network.__mro__ if '__init__' in vars(kind))
    for name, parameter in inspect.signature(documented).parameters.items():
        assert f'\n        {name} (' in documented.__doc__, name
        assert parameter.default is not inspect.Parameter.empty
    assert '**options' not in documented.__doc__


def test_documented_defaults_are_those_of_the_signature(network):
    documented = next(kind for kind in network.__mro__ if '__init__' in vars(kind))
    entries = re.split(r'\n {8}(?=\w+ \()', documented.__doc__)
    texts = {entry.split()[0]: entry for entry in entries[1:]}
    plain = (bool, int, float, str, NoneType)
    for name, parameter in inspect.signature(documented).parameters.items():
        if isinstance(parameter.default, plain):
            said = re.search(r'Defaults\s+to\s+`*([^\s`]+?)`*[.,:;]?(?:\s|$)', texts[name])
            assert ast.literal_eval(said[1]) == parameter.default, name


def test_defaults_are_those_of_the_signature(network):
    shown = inspect.signature(network).parameters
    model, explicit = network(), network(**{k: v.default for k, v in shown.items()})
    assert str(model) == str(explicit)
    assert model.out_indices == explicit.out_indices


def test_unknown_arguments_are_refused(network):
    with pytest.raises(TypeError, match='with_checkpoints'):
        network(with_checkpoints=True)


WRONG = dict(
    out_indices='0',
    in_channels='3',
    drop_path_rate='0.1',
    frozen_stages='1',
    with_cp='yes',
    norm_eval=1,
    out_norm='LN',
)


@pytest.mark.parametrize('name', WRONG)
def test_arguments_of_another_type_are_named(network, name):
    with pytest.raises(ValueError, match=rf'^{name} must be '):
        network(**{name: WRONG[name]})


@pytest.mark.parametrize('value', ['64', 64.0, None, (64, 64.0), True])
def test_image_sizes_of_another_type_are_named(value):
    with pytest.raises(ValueError, match=r'^img_size must be '):
        TINY['GFNet'](img_size=value)


@pytest.mark.parametrize('value', ['8', (8, '16'), 8.0])
def test_channels_of_another_type_are_named(value):
    with pytest.raises(ValueError, match=r'^embed_dims of arch must be '):
        mmfreq.models.HorNet(arch=dict(embed_dims=value, depths=(1, 1)))


def test_a_backbone_of_someone_else_shows_them_too():
    class Other(mmfreq.models.GFFormer):
        """Another network.

        Args:
            width (int): Of something.
            **options: Common arguments.
        """

        default_options = BackboneOptions(drop_path_rate=0.5)

        def __init__(self, width: int = 3, **options: Unpack[ResizableOptions]) -> None:
            super().__init__('s18', **self.default_options | options)

    shown = inspect.signature(Other).parameters
    assert shown['width'].default == 3 and shown['img_size'].default == 224
    assert shown['drop_path_rate'].default == 0.5
    assert 'last block; it grows linearly' in Other.__doc__
    assert 'Defaults to 0.5 here.' in Other.__doc__


def test_a_backbone_with_arguments_of_its_own_does_not_show_those_of_its_base():
    class Other(mmfreq.models.GFNet):
        def __init__(self, width: int, **kwargs: object) -> None:
            super().__init__(**kwargs)

    assert list(inspect.signature(Other).parameters) == ['width', 'kwargs']

    class Another(mmfreq.models.GFNet):
        def __init__(self, options: dict[str, int], **kwargs: object) -> None:
            super().__init__(**kwargs)

    assert list(inspect.signature(Another).parameters) == ['options', 'kwargs']


def test_annotations_may_be_strings():
    class Other(mmfreq.models.GFNet):
        def __init__(self, width: 'int' = 3, **options: 'Unpack[ResizableOptions]') -> None:
            super().__init__('ti', **options)

    assert {'width', 'img_size', 'out_norm'} <= set(inspect.signature(Other).parameters)

    class Unresolved(mmfreq.models.GFNet):
        def __init__(self, **options: 'Unpack[NotImported]') -> None:  # noqa: F821
            super().__init__('ti', **options)

    assert list(inspect.signature(Unresolved).parameters) == ['options']


@pytest.mark.parametrize('name', TINY)
def test_a_backend_is_set_where_one_is_declared(name):
    model = TINY[name]()
    model.stages.append(nn.Identity())
    model.stages[-1].backend = 'mine'
    model.set_backend('gemm')
    assert model.stages[-1].backend == 'mine'
    spectral = [module for module in model.modules() if isinstance(module, SpectralModule)]
    assert spectral and all(module.backend == 'gemm' for module in spectral)


def test_image_size_is_set_where_something_has_one():
    for name, config in backbone_names().items():
        settings = dict(config)
        set_image_size(settings, 64)
        ours = config['type'].startswith('mmfreq.')  # img_size of a peer may mean something else
        takes_it = 'img_size' in inspect.signature(MODELS.get(config['type'])).parameters
        assert ('img_size' in settings) == (ours and takes_it), name


def test_what_is_registered_may_be_a_function():
    MODELS.register_module('made_by_a_function', module=lambda: nn.Identity())
    try:
        assert 'gfnet-h-s' in backbone_names()
    finally:
        MODELS.module_dict.pop('made_by_a_function')
