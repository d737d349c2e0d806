"""Data sets of mmseg with errors that name the file."""

from mmseg.datasets import ADE20KDataset as MMSegADE20KDataset
from mmseg.datasets import BaseSegDataset as MMSegBaseSegDataset

from mmfreq.registry import DATASETS
from mmfreq.utils.named_errors import NamedErrors

__all__ = ['ADE20KDataset', 'BaseSegDataset']


@DATASETS.register_module()
class ADE20KDataset(NamedErrors, MMSegADE20KDataset):
    """mmseg's ADE20K, with errors that name the image and the label map. Arguments are the same."""


@DATASETS.register_module()
class BaseSegDataset(NamedErrors, MMSegBaseSegDataset):
    """mmseg's data set for own images and label maps, with errors that name them.

    Arguments are the same: classes are named by ``metainfo=dict(classes=...)``.
    """
