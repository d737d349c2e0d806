"""Transforms of data pipelines."""

from mmcv.transforms import BaseTransform

from mmfreq.registry import TRANSFORMS

__all__ = ['CheckSegMap']


@TRANSFORMS.register_module()
class CheckSegMap(BaseTransform):
    """Stop at label maps that do not fit the data set or their image.

    Without it, a class id out of range is an index error deep in the loss, on a GPU one that names
    neither the file nor the class. Put it behind ``LoadAnnotations``.

    Args:
        num_classes (int): Number of classes; with ``reduce_zero_label`` after the reduction.
        ignore_index (int): Label of pixels without class. Defaults to 255.
        same_size (bool): Whether the map must be as large as the image at this point of the
            pipeline. Defaults to True.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, same_size: bool = True) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.same_size = same_size

    def transform(self, results: dict) -> dict:
        """Check ``gt_seg_map`` and return the results unchanged.

        Raises:
            ValueError: If a label is out of range or the sizes differ; the file is named.
        """
        seg_map, path = results['gt_seg_map'], results['seg_map_path']
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
        highest = seg_map[seg_map != self.ignore_index].max(initial=0)
        if highest >= self.num_classes:
            # ADE20K's files count from 1, with 0 for pixels that have no class.
            offset = int(bool(results.get('reduce_zero_label')))
            raise ValueError(
                f'label map {path} has class id {int(highest) + offset}, the highest one allowed '
                f'is {self.num_classes - 1 + offset}; correct the file or num_classes'
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes})'
