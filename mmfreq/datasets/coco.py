"""COCO with errors that name the file."""

from typing import Any

from mmdet.datasets import CocoDataset as MMDetCocoDataset

from mmfreq.datasets.transforms import describe_failure
from mmfreq.registry import DATASETS

__all__ = ['CocoDataset']


@DATASETS.register_module()
class CocoDataset(MMDetCocoDataset):
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
        except (
            ValueError,
            KeyError,
            TypeError,
            AssertionError,
        ) as error:  # JSON errors are ValueErrors
            raise ValueError(
                f'annotation file {self.ann_file} does not hold COCO annotations in JSON '
                f'({type(error).__name__}: {error}); get it again, or correct ann_file'
            ) from error

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one sample.

        Args:
            idx (int): Number of the sample.

        Returns:
            Any: Result of the pipeline.

        Raises:
            ValueError: If the sample cannot be prepared; the message names its image.
        """
        try:
            return super().prepare_data(idx)
        except Exception as error:
            raise ValueError(
                describe_failure(error, self.get_data_info(idx)['img_path'])
            ) from error
