"""COCO with errors that name the file."""

import os

from mmdet.datasets import CocoDataset as MMDetCocoDataset

from mmfreq.datasets.named_errors import NamedErrors
from mmfreq.registry import DATASETS
from mmfreq.utils.errors import DataError

__all__ = ['CocoDataset']


@DATASETS.register_module()
class CocoDataset(NamedErrors, MMDetCocoDataset):
    """mmdet's COCO for files from anywhere: errors name the file, paths stay in their folder.

    Arguments are the same.
    """

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
        folder = os.path.normpath(self.data_prefix['img'])
        path = os.path.normpath(os.path.join(folder, image['file_name']))
        if not path.startswith(os.path.join(folder, '')):
            raise ValueError(f'image {image["file_name"]} is outside of {folder}')
        for annotation in raw_data_info['raw_ann_info']:
            mask = annotation.get('segmentation')
            if isinstance(mask, dict) and list(mask['size']) != [image['height'], image['width']]:
                raise ValueError(
                    f'a mask of {image["file_name"]} has the size {mask["size"]}, its image '
                    f'{[image["height"], image["width"]]} (height, width)'
                )
        return super().parse_data_info(raw_data_info)
