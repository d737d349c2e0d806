"""Backbones: one implementation of each network for mmdet, mmseg and mmpretrain.

Every module of this folder is imported, so that a new file needs no line here: what it registers is
known by name in configs, in the zoo, and as ``mmfreq.models.NAME``.
"""

from importlib import import_module
from pkgutil import iter_modules

from mmfreq.models.backbones.affnet import AFFNet
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.backbones.dfformer import CDFFormer, DFFormer, GFFormer
from mmfreq.models.backbones.dsm import DSM
from mmfreq.models.backbones.fdresnet import FDResNet
from mmfreq.models.backbones.gfnet import GFNet

__all__ = ['DSM', 'AFFNet', 'CDFFormer', 'DFFormer', 'FDResNet', 'GFFormer', 'GFNet']

for _module in [import_module(f'{__name__}.{found.name}') for found in iter_modules(__path__)]:
    for _name, _value in vars(_module).items():
        if isinstance(_value, type) and issubclass(_value, StagedBackbone) and _value.arch_settings:
            globals()[_name] = _value
            if _name not in __all__:
                __all__.append(_name)
