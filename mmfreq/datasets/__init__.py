"""Datasets and transforms; those of mmseg and mmdet are there when these libraries are."""

from importlib.util import find_spec

from mmfreq.datasets.transforms import CheckSegMap

__all__ = ['CheckSegMap']

if find_spec('mmseg'):
    from mmfreq.datasets.ade20k import ADE20KDataset as ADE20KDataset

    __all__ += ['ADE20KDataset']
if find_spec('mmdet'):
    from mmfreq.datasets.coco import CocoDataset as CocoDataset

    __all__ += ['CocoDataset']
