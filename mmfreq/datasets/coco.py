"""COCO with errors that name the file."""

import os
from collections.abc import Sequence
from typing import Any

from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.datasets.api_wrappers import COCO

from mmfreq.registry import DATASETS
from mmfreq.utils.errors import DataError
from mmfreq.utils.images import is_inside
from mmfreq.utils.named_errors import NamedErrors
from mmfreq.utils.names import enumerate_names

__all__ = ['CocoDataset']


@DATASETS.register_module()
class CocoDataset(NamedErrors, MMDetCocoDataset):
    """mmdet's COCO for files from anywhere: errors name the file, paths stay in their folder.

    Arguments are the same. Classes must be categories of the annotation file, in its order, by
    which mmdet numbers them: others would get wrong names without a word.
    """

    def COCOAPI(self, ann_file: str) -> Any:  # noqa: N802 (mmdet's name of what reads the file)
        """Read an annotation file and check its categories.

        Args:
            ann_file (str): Path of the file.

        Returns:
            Any: As ``mmdet.datasets.api_wrappers.COCO``.

        Raises:
            DataError: If the classes are not categories of the file in its order, or two of these
                have the same id.
        """
        coco = COCO(ann_file)
        check_categories(self.metainfo['classes'], coco.dataset['categories'], ann_file)
        return coco

    def load_data_list(self) -> list[dict]:
        """Read the annotation file.

        Returns:
            list[dict]: One entry per image.

        Raises:
            DataError: If the file does not hold COCO annotations, or names files outside of the
                folder of images.
        """
        try:
            return super().load_data_list()
        except DataError:
            raise
        except Exception as error:  # whatever JSON from strangers leads to
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            raise DataError(
                f'annotation file {self.ann_file} does not hold COCO annotations in JSON '
                f'({reason}); get it again, or correct ann_file'
            ) from error

    def parse_data_info(self, raw_data_info: dict) -> dict | list[dict]:
        """Turn the annotations of an image into mmdet's form.

        Args:
            raw_data_info (dict): Entries of the file about one image.

        Returns:
            dict | list[dict]: As in mmdet.

        Raises:
            ValueError: If the image is outside of the folder of images, or a mask is not of its
                size.
        """
        image = raw_data_info['raw_img_info']
        folder = os.path.abspath(self.data_prefix['img'])
        if not is_inside(folder, image['file_name']):
            raise ValueError(f'image {image["file_name"]} is outside of {folder}')
        for annotation in raw_data_info['raw_ann_info']:
            mask = annotation.get('segmentation')
            if isinstance(mask, dict) and list(mask['size']) != [image['height'], image['width']]:
                raise ValueError(
                    f'a mask of {image["file_name"]} has the size {mask["size"]}, its image '
                    f'{[image["height"], image["width"]]} (height, width)'
                )
        return super().parse_data_info(raw_data_info)


def check_categories(
    classes: Sequence[str], categories: Sequence[dict[str, Any]], ann_file: str
) -> None:
    """Check the categories of an annotation file, and the classes of a data set against them.

    Args:
        classes (Sequence[str]): Classes of ``metainfo``.
        categories (Sequence[dict]): Categories of the file, in its order.
        ann_file (str): The file, for the message.

    Raises:
        DataError: If two categories have the same id, or as in :func:`check_classes`.
    """
    if len({category['id'] for category in categories}) < len(categories):
        raise DataError(
            f'{ann_file} has categories with the same id, so that objects of one would be taken '
            'for the other; number them anew'
        )
    check_classes(classes, [category['name'] for category in categories], ann_file)


def check_classes(classes: Sequence[str], categories: Sequence[str], ann_file: str) -> None:
    """Check the classes of a data set against the categories of its annotation file.

    Args:
        classes (Sequence[str]): Classes of ``metainfo``.
        categories (Sequence[str]): Names in the file, in its order.
        ann_file (str): The file, for the message.

    Raises:
        DataError: If they are not some of the categories, in the order of the file.
    """
    if isinstance(classes, str):
        raise DataError(f'metainfo classes must be names in a tuple, got the text {classes!r}')
    kept = [name for name in categories if name in classes]
    if kept == list(classes):
        return
    missing = [name for name in classes if name not in categories]
    wrong = 'are in another order than' if not missing else 'are not all among'
    raise DataError(
        f'the classes of the data set {wrong} the categories of {ann_file}\n'
        f'  classes:    {enumerate_names(list(classes), 100)}\n'
        f'  categories: {enumerate_names(list(categories), 100)}\n'
        'set metainfo=dict(classes=...) of the data set to names of the file, in its order'
        + (', for example ' + repr(tuple(categories)) if len(categories) <= 10 else '')
    )
