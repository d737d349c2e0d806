"""Datasets and transforms; those of mmseg and mmdet are there when these libraries are."""

from importlib.util import find_spec

from mmfreq.datasets.transforms import CheckSegMap
from mmfreq.mmengine_patches import hide_debug_messages

__all__ = ['CheckSegMap']

hide_debug_messages()  # of libraries that look for packages nobody needs

if find_spec('mmseg'):
    from mmfreq.datasets.segmentation import ADE20KDataset as ADE20KDataset
    from mmfreq.datasets.segmentation import BaseSegDataset as BaseSegDataset

    __all__ += ['ADE20KDataset', 'BaseSegDataset']
if find_spec('mmdet'):
    from mmfreq.datasets.coco import CocoDataset as CocoDataset

    __all__ += ['CocoDataset']
