"""ADE20K with errors that name the file."""

from typing import Any

from mmseg.datasets import ADE20KDataset as MMSegADE20KDataset

from mmfreq.datasets.transforms import describe_failure
from mmfreq.registry import DATASETS

__all__ = ['ADE20KDataset']


@DATASETS.register_module()
class ADE20KDataset(MMSegADE20KDataset):
    """mmseg's ADE20K, with errors that name the image and the label map. Arguments are the same."""

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one sample.

        Args:
            idx (int): Number of the sample.

        Returns:
            Any: Result of the pipeline.

        Raises:
            ValueError: If the sample cannot be prepared; the message names its files.
        """
        try:
            return super().prepare_data(idx)
        except Exception as error:
            info = self.get_data_info(idx)
            message = describe_failure(error, info['img_path'], info.get('seg_map_path'))
            raise ValueError(message) from error
