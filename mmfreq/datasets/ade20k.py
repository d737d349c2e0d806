"""ADE20K with errors that name the file."""

from mmseg.datasets import ADE20KDataset as MMSegADE20KDataset

from mmfreq.datasets.named_errors import NamedErrors
from mmfreq.registry import DATASETS

__all__ = ['ADE20KDataset']


@DATASETS.register_module()
class ADE20KDataset(NamedErrors, MMSegADE20KDataset):
    """mmseg's ADE20K, with errors that name the image and the label map. Arguments are the same."""
