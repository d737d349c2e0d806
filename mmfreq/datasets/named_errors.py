"""Errors of a data pipeline with the files that they are about."""

import os
from typing import Any

from mmfreq.utils.errors import DataError
from mmfreq.utils.images import check_image_size

__all__ = ['NamedErrors']


class NamedErrors:
    """Mixin for data sets: errors name the files that they are about."""

    def filter_data(self) -> list[dict]:
        """Leave out samples as ``filter_cfg`` says.

        Returns:
            list[dict]: The others.

        Raises:
            DataError: If none is left.
        """
        samples = super().filter_data()  # type: ignore[misc]
        if not samples:
            source = self.ann_file or list(self.data_prefix.values())  # type: ignore[attr-defined]
            raise DataError(
                f'no sample is left of {source}: the files are empty, or filter_cfg drops all'
            )
        return samples

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
