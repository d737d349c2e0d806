"""Errors of a data pipeline with the files that they are about."""

import os
from typing import Any

from mmfreq.utils.errors import DataError
from mmfreq.utils.images import check_image_size

__all__ = ['NamedErrors']


class NamedErrors:
    """Mixin for data sets: an error about a sample names the sample's files."""

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one sample.

        Args:
            idx (int): Number of the sample.

        Returns:
            Any: Result of the pipeline.

        Raises:
            DataError: If the sample cannot be prepared.
        """
        info = self.get_data_info(idx)  # type: ignore[attr-defined]
        files = [path for path in (info['img_path'], info.get('seg_map_path')) if path]
        try:
            for path in filter(os.path.isfile, files):  # not those of other storage backends
                check_image_size(path)
            return super().prepare_data(idx)  # type: ignore[misc]
        except Exception as error:
            reason = ' '.join(str(error).split())  # OpenCV writes several lines
            raise DataError(
                f'the sample of {", ".join(files)} could not be prepared '
                f'({type(error).__name__}: {reason}); check that the files are complete and hold '
                'what the data set expects'
            ) from error
