"""A model of any of the three libraries as one function of images, for counting and exporting."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['WholeNetwork']


class WholeNetwork(nn.Module):
    """Backbone, neck and heads of a model without post-processing, called with images only.

    The second stage of a detector gets as many regions as its test keeps (1000), the mask head the
    first hundred of them, so that the work does not depend on what the image shows. The stages of
    Cascade R-CNN get the same regions each, as if none had moved them.

    Args:
        model (nn.Module): Segmentor of mmseg, detector of mmdet or classifier of mmpretrain.

    Raises:
        ValueError: If the model has none of the heads that these have, or parts that are called in
            other ways; they are named.
    """

    heads = ('head', 'decode_head', 'bbox_head', 'rpn_head')
    parts = (*heads, 'backbone', 'neck', 'roi_head', 'auxiliary_head')
    roi_parts = (
        'bbox_roi_extractor',
        'bbox_head',
        'mask_roi_extractor',
        'mask_head',
        'shared_head',
    )

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for name, child in model.named_children():
            if name != 'data_preprocessor':
                self.add_module(name, child)
        if not any(isinstance(self._find(name), nn.Module) for name in self.heads):
            raise ValueError(f'{type(model).__name__} has none of the heads {self.heads}')
        roi_head, decode_head = self._find('roi_head'), self._find('decode_head')
        if isinstance(decode_head, nn.ModuleList):
            raise ValueError(f'{type(model).__name__} has several decode heads, only one works')
        if hasattr(roi_head, 'num_stages') and type(roi_head).__name__ != 'CascadeRoIHead':
            raise ValueError(
                f'{type(model).__name__} has several stages in its roi_head, of which only those '
                f'of CascadeRoIHead work, got {type(roi_head).__name__}'
            )
        strange = [name for name in _parts_of(self) if name not in self.parts]
        strange += [f'roi_head.{n}' for n in _parts_of(roi_head) if n not in self.roi_parts]
        if strange:
            raise ValueError(
                f'{type(model).__name__} has parts that only itself can call: '
                f'{", ".join(strange)}; networks of {", ".join(self.parts)} work'
            )
        test_cfg = getattr(model, 'test_cfg', None)
        self.num_regions = test_cfg.rpn.max_per_img if test_cfg and 'rpn' in test_cfg else 0

    def forward(self, images: Tensor) -> Any:
        """Compute what the heads predict.

        Args:
            images (Tensor): Images of shape ``(B, C, H, W)``.

        Returns:
            Any: Outputs of the heads, tensors in nested tuples and lists.
        """
        features: Any = images
        for part in (self._find('backbone'), self._find('neck')):
            if part is not None:
                features = part(features)
        heads = (self._find(name) for name in self.heads)
        outputs = [_call(head, features, images) for head in heads if head is not None]
        roi_head = self._find('roi_head')
        if hasattr(roi_head, 'num_stages'):
            outputs += _call_cascade(roi_head, features, self._regions(images))
        elif roi_head is not None:
            outputs.append(roi_head(features, self._regions(images)))
        return outputs

    def _regions(self, images: Tensor) -> list[Any]:
        """The same boxes for each image, of all sizes from the whole image to a 32nd of it."""
        from mmengine.structures import InstanceData

        height, width = images.shape[-2:]
        scale = 2 ** -torch.linspace(0, 5, self.num_regions, device=images.device)
        corner = torch.stack([scale * 0, scale * 0, scale * width, scale * height], dim=-1)
        return [InstanceData(bboxes=corner) for _ in images]

    def _find(self, name: str) -> nn.Module | None:
        return getattr(self, name, None)


def _call(head: nn.Module, features: Any, images: Tensor) -> Any:
    """Call a head; Mask2Former's wants to know the images, too."""
    if 'batch_data_samples' not in inspect.signature(head.forward).parameters:
        return head(features)
    from mmengine.structures import BaseDataElement

    size = tuple(images.shape[-2:])
    sample = BaseDataElement(metainfo=dict(img_shape=size, batch_input_shape=size))
    return head(features, [sample] * len(images))


def _call_cascade(roi_head: Any, features: Any, regions: list[Any]) -> list[Any]:
    """Call all stages; ``forward`` of mmdet gives the mask heads more regions than its test."""
    from mmdet.structures.bbox import bbox2roi

    rois = bbox2roi([region.bboxes for region in regions])
    outputs = []
    for stage in range(roi_head.num_stages):
        outputs.append(roi_head._bbox_forward(stage, features, rois))
        if roi_head.with_mask:
            outputs.append(roi_head._mask_forward(stage, features, rois[:100]))
    return outputs


def _parts_of(module: nn.Module | None) -> list[str]:
    """Names of the children with parameters."""
    children = [] if module is None else module.named_children()
    return [name for name, child in children if any(True for _ in child.parameters())]
