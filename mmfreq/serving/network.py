"""What the page asks of a network: predictions, spectra, filters, images without a band."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from mmfreq.analysis.spectra import pictures
from mmfreq.analysis.spectra.filters import gains_for
from mmfreq.analysis.spectra.fourier import amplitude_over_depth
from mmfreq.analysis.spectra.stages import filters_of_stages, spectra_of_stages
from mmfreq.datasets.bands import remove_band
from mmfreq.inference.predict import Failure, Predictor, predict_each
from mmfreq.inference.results import Prediction
from mmfreq.inference.sources import Source
from mmfreq.utils.errors import DataError

__all__ = ['Network', 'Seen']

RGB = NDArray[np.uint8]


class Seen(NamedTuple):
    """An image and what a network makes of it.

    Attributes:
        name (str): Name of the file.
        pixels (NDArray): The image as the test pipeline of the config reads it, ``(H, W, C)``.
        prediction (Prediction): The prediction.
        batch (Tensor): What the backbone was given, cut to its centred square; of several windows
            the middle one; shape ``(1, C, N, N)``.
    """

    name: str
    pixels: NDArray[Any]
    prediction: Any
    batch: Tensor


class Network:
    """A model, for one caller at a time.

    Args:
        model (nn.Module): From :func:`mmfreq.init_model`.

    Raises:
        ConfigError: If the config has no test pipeline that reads images.
    """

    def __init__(self, model: nn.Module) -> None:
        self.predictor = Predictor(model)
        self.backbone: nn.Module = model.backbone  # type: ignore[assignment]

    @property
    def task(self) -> str:
        """``'mmseg'``, ``'mmdet'`` or ``'mmpretrain'``."""
        return str(self.predictor.scope)

    def look(self, path: str) -> Seen:
        """Read an image file and predict it.

        Args:
            path (str): The file.

        Returns:
            Seen: What was found.

        Raises:
            DataError: If the image cannot be read or predicted; the message has the name of the
                file, and not its folder.
        """
        name = Path(path).name
        try:
            return self._look_at(name, self.predictor.read(path))
        except DataError as error:
            raise DataError(str(error).replace(path, name)) from error

    def without_band(self, seen: Seen, low: float, high: float) -> Seen:
        """Predict an image again without a band of its frequencies.

        Args:
            seen (Seen): The image.
            low (float): See :func:`mmfreq.datasets.bands.remove_band`.
            high (float): In cycles per pixel.

        Returns:
            Seen: The filtered image and its prediction.

        Raises:
            DataError: If it cannot be predicted.
        """
        return self._look_at(seen.name, remove_band(seen.pixels, low, high))

    def spectra(self, seen: Seen) -> list[RGB]:
        """Pictures of the spectra of the feature maps.

        Args:
            seen (Seen): The image.

        Returns:
            list[NDArray]: Spectra behind each stage, and if the backbone has blocks their
            amplitudes over depth; RGB.
        """
        title = 'Spectra of the image as the backbone gets it, and of the maps of each stage'
        stages = spectra_of_stages(self.backbone, seen.batch)
        figures = [pictures.draw_stage_spectra(title, stages)]
        try:
            curves = amplitude_over_depth(self.backbone, seen.batch)
        except ValueError:  # no blocks
            return _as_images(figures)
        name = type(self.backbone).__name__
        return _as_images([*figures, pictures.draw_amplitudes({name: curves})])

    def filters(self, seen: Seen) -> list[RGB]:
        """Pictures of the gains of learned filters.

        Args:
            seen (Seen): The image, for filters and gains that depend on it.

        Returns:
            list[NDArray]: Filters by stage, and tables of gains, those that the network has; RGB.
        """
        name = type(self.backbone).__name__
        stages = filters_of_stages(self.backbone, seen.batch)
        figures = [pictures.draw_stage_filters(f'Filters of {name}', stages)] if stages else []
        image = _as_image(seen.batch)
        figures += [
            pictures.draw_gains(name, [image], gains)
            for gains in gains_for(self.backbone, seen.batch)
        ]
        return _as_images(figures)

    def _look_at(self, name: str, pixels: NDArray[Any]) -> Seen:
        batches: list[Tensor] = []
        watching = self.backbone.register_forward_pre_hook(
            lambda module, inputs: batches.append(inputs[0].detach())
        )
        try:
            (result,) = predict_each(self.predictor, [Source(name, pixels)])
        finally:
            watching.remove()
        if isinstance(result, Failure):
            raise DataError(str(result.error).replace('image: ', f'{name}: ', 1)) from result.error
        assert isinstance(result, Prediction)
        return Seen(name, pixels, result, _centre(batches[len(batches) // 2]))


def _centre(batch: Tensor) -> Tensor:
    """The centred square of the first image of a batch, of its own memory."""
    height, width = batch.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return batch[:1, :, top : top + side, left : left + side].float().clone()


def _as_image(batch: Tensor) -> RGB:
    """What a backbone was given as an image, from its smallest to its largest number."""
    image = batch[0, :3] if batch.shape[1] >= 3 else batch[0, :1].expand(3, -1, -1)
    low, high = torch.aminmax(image)
    scaled = (image - low) / (high - low).clamp(min=1e-6)
    return (255 * scaled).round().byte().permute(1, 2, 0).cpu().numpy()


def _as_images(figures: list[Figure]) -> list[RGB]:
    images = []
    for figure in figures:
        figure.set_dpi(110)
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())  # type: ignore[attr-defined]
        plt.close(figure)
    return images
