"""Errors of a data pipeline with the files that they are about."""

from typing import Any

from mmfreq.utils.errors import SampleError

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
            SampleError: If the sample cannot be prepared.
        """
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except Exception as error:
            info = self.get_data_info(idx)  # type: ignore[attr-defined]
            files = ', '.join(filter(None, (info['img_path'], info.get('seg_map_path'))))
            reason = ' '.join(str(error).split())  # OpenCV writes several lines
            raise SampleError(
                f'the sample of {files} could not be prepared ({type(error).__name__}: {reason}); '
                'check that the files are complete and hold what the data set expects'
            ) from error
