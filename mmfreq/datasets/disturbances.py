"""Transforms that disturb images, to see what a trained network does with them."""

import zlib

import numpy as np
from mmcv.transforms import BaseTransform

from mmfreq.datasets.bands import HIGHEST, remove_band
from mmfreq.registry import TRANSFORMS

__all__ = ['Corrupt', 'RemoveBand']


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """One of the corruptions of ImageNet-C (arXiv 1903.12261), by the package imagecorruptions.

    Random ones, such as noise, are drawn anew for each image, and are the same in each test.

    Args:
        corruption (str): ``'gaussian_noise'``, ``'gaussian_blur'``, ``'defocus_blur'``,
            ``'jpeg_compression'``, ``'contrast'`` and others, see
            ``imagecorruptions.get_corruption_names('all')``.
        severity (int): From 1 to 5. Defaults to 3.

    Raises:
        ImportError: If the package is missing.
        ValueError: If there is no such corruption or severity.
    """

    def __init__(self, corruption: str, severity: int = 3) -> None:
        try:
            from imagecorruptions import get_corruption_names
        except ImportError as error:
            raise ImportError(
                "mmfreq.Corrupt needs imagecorruptions: pip install 'mmfreq[onedl]'"
            ) from error
        known = get_corruption_names('all')
        if corruption not in known:
            raise ValueError(f'corruption must be one of {", ".join(known)}, got {corruption!r}')
        if severity not in range(1, 6):
            raise ValueError(f'severity must be between 1 and 5, got {severity!r}')
        self.corruption = corruption
        self.severity = severity

    def transform(self, results: dict) -> dict:
        """Corrupt ``img``, uint8 and BGR as it is read."""
        from imagecorruptions import corrupt

        state = np.random.get_state()
        np.random.seed(zlib.crc32(str(results.get('img_path')).encode()))
        rgb = np.ascontiguousarray(results['img'][..., ::-1])
        corrupted = corrupt(rgb, corruption_name=self.corruption, severity=self.severity)
        np.random.set_state(state)
        results['img'] = np.ascontiguousarray(corrupted[..., ::-1])
        return results

    def __repr__(self) -> str:
        return f'Corrupt(corruption={self.corruption!r}, severity={self.severity})'


@TRANSFORMS.register_module()
class RemoveBand(BaseTransform):
    """Remove a band of frequencies from images, see :func:`mmfreq.datasets.bands.remove_band`.

    Args:
        low (float): In cycles per pixel; 0 removes the lowest, too, but for the mean. Defaults to
            0.
        high (float): In cycles per pixel. Defaults to the highest that there is.

    Raises:
        ValueError: If ``low`` is not below ``high``, or negative.
    """

    def __init__(self, low: float = 0.0, high: float = HIGHEST) -> None:
        if not 0 <= low < high:
            raise ValueError(f'low must be between 0 and high, got {low} and {high}')
        self.low = low
        self.high = high

    def transform(self, results: dict) -> dict:
        """Filter ``img``."""
        results['img'] = remove_band(results['img'], self.low, self.high)
        return results

    def __repr__(self) -> str:
        return f'RemoveBand(low={self.low}, high={self.high:.3f})'
