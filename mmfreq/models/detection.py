"""Parts of detectors; needs mmdet, so configs name this module in ``custom_imports``."""

from typing import Any

from mmdet.models.dense_heads import SSDHead as MMDetSSDHead

from mmfreq.registry import MODELS

__all__ = ['SSDHead']


@MODELS.register_module()
class SSDHead(MMDetSSDHead):
    """mmdet's SSD head, able to predict: mmdet 3.x asks it for a ``loss_cls`` it does not have.

    Args:
        *args: As in mmdet.
        **kwargs: As in mmdet.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not hasattr(self, 'loss_cls'):
            self.loss_cls = None
