"""Datasets and transforms; those of mmseg and mmdet are there when these libraries are."""

from importlib.util import find_spec

from mmfreq.datasets.disturbances import Corrupt, RemoveBand
from mmfreq.datasets.transforms import CheckSegMap

__all__ = ['CheckSegMap', 'Corrupt', 'RemoveBand']

if find_spec('mmseg'):
    from mmfreq.datasets.segmentation import ADE20KDataset as ADE20KDataset
    from mmfreq.datasets.segmentation import BaseSegDataset as BaseSegDataset

    __all__ += ['ADE20KDataset', 'BaseSegDataset']
if find_spec('mmdet'):
    from mmfreq.datasets.coco import CocoDataset as CocoDataset

    __all__ += ['CocoDataset']
