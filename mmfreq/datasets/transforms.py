"""Transforms of data pipelines."""

from mmcv.transforms import BaseTransform

from mmfreq.registry import TRANSFORMS
from mmfreq.utils.images import beyond_eight_bits

__all__ = ['CheckSegMap']


@TRANSFORMS.register_module()
class CheckSegMap(BaseTransform):
    """Stop at label maps that do not fit the data set or their image.

    Without it, a class id out of range is an index error deep in the loss, on a GPU one that names
    neither the file nor the class. Put it behind ``LoadAnnotations``. Images without a label map,
    as in inference, pass.

    Args:
        num_classes (int, optional): Number of classes; with ``reduce_zero_label`` after the
            reduction. Defaults to None: as many as the data set has. Data sets of mmfreq say it,
            and those of other libraries under mmfreq's tools.
        ignore_index (int): Label of pixels without class. Defaults to 255.
        same_size (bool): Whether the map must be as large as the image at this point of the
            pipeline. Defaults to True.
        backend_args (dict, optional): Where the files are, as in ``LoadAnnotations``. Defaults to
            None: local ones; values above 255 of others are not seen.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignore_index: int = 255,
        same_size: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.same_size = same_size
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Check ``gt_seg_map`` and return the results unchanged.

        Raises:
            ValueError: If a label is out of range, the sizes differ or the file has values that
                mmseg, which reads 8 bits, would change; the file is named.
        """
        if 'gt_seg_map' not in results:
            return results
        seg_map, path = results['gt_seg_map'], results['seg_map_path']
        num_classes = results.get('num_classes') if self.num_classes is None else self.num_classes
        if num_classes is None:
            raise ValueError(
                'the number of classes is not known: set metainfo=dict(classes=...) of the data '
                'set; under tools of other libraries use a data set of mmfreq, such as '
                'mmfreq.BaseSegDataset, or set num_classes of CheckSegMap'
            )
        if seg_map.ndim != 2:
            raise ValueError(
                f'label map {path} has the shape {seg_map.shape}; it must have one channel of '
                'class ids, no colours'
            )
        if self.same_size and seg_map.shape != tuple(results['img_shape'][:2]):
            raise ValueError(
                f'label map {path} has {seg_map.shape} pixels (height, width), its image '
                f'{results["img_path"]} {tuple(results["img_shape"][:2])}'
            )
        # ADE20K's files count from 1, with 0 for pixels that have no class.
        offset = int(bool(results.get('reduce_zero_label')))
        highest = beyond_eight_bits(path, self.backend_args)
        if highest is None:
            highest = int(seg_map[seg_map != self.ignore_index].max(initial=0)) + offset
        if highest >= num_classes + offset:
            raise ValueError(
                f'label map {path} has class id {highest}, the highest one allowed '
                f'is {num_classes - 1 + offset}; correct the file or num_classes'
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes})'
