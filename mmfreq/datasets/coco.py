"""COCO with errors that name the file."""

from mmdet.datasets import CocoDataset as MMDetCocoDataset

from mmfreq.datasets.named_errors import NamedErrors
from mmfreq.registry import DATASETS

__all__ = ['CocoDataset']


@DATASETS.register_module()
class CocoDataset(NamedErrors, MMDetCocoDataset):
    """mmdet's COCO, with errors that name the file. Arguments are the same."""

    def load_data_list(self) -> list[dict]:
        """Read the annotation file.

        Returns:
            list[dict]: One entry per image.

        Raises:
            ValueError: If the file does not hold COCO annotations; the message names it.
        """
        try:
            return super().load_data_list()
        # Errors of the JSON decoder are ValueErrors; pycocotools asserts that the top is a dict.
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ValueError(
                f'annotation file {self.ann_file} does not hold COCO annotations in JSON '
                f'({type(error).__name__}: {error}); get it again, or correct ann_file'
            ) from error
