"""Transforms that disturb images, to see what a trained network does with them."""

import zlib

import numpy as np
from mmcv.transforms import BaseTransform

from mmfreq.datasets.bands import HIGHEST, remove_band
from mmfreq.registry import TRANSFORMS

__all__ = ['Corrupt', 'RemoveBand']

OWN_SEED = ('glass_blur', 'impulse_noise')  # draw from generators of their own


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """One of the corruptions of ImageNet-C (arXiv 1903.12261), by the package imagecorruptions.

    Random ones, such as noise, differ from image to image, and are the same for an image in each
    test.

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
        """Corrupt ``img``, uint8 and BGR as it is read, of at least 32 pixels a side."""
        from imagecorruptions import corrupt

        rgb = np.ascontiguousarray(results['img'][..., ::-1])
        seed = zlib.crc32(rgb.tobytes())
        own = dict(seed=seed) if self.corruption in OWN_SEED else {}
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            corrupted = corrupt(rgb, self.severity, self.corruption, **own)
        finally:
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
        if not 0 <= low < min(high, HIGHEST):
            raise ValueError(
                f'low must be from 0 to below high and {HIGHEST:.3f}, got {low}, {high}'
            )
        self.low = low
        self.high = high

    def transform(self, results: dict) -> dict:
        """Filter ``img``."""
        results['img'] = remove_band(results['img'], self.low, self.high)
        return results

    def __repr__(self) -> str:
        return f'RemoveBand(low={self.low}, high={self.high:.3f})'
