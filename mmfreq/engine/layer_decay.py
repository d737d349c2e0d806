"""Layer-wise learning-rate decay for detectors, segmentors and classifiers."""

from functools import partial

from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn

from mmfreq.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ['LayerDecayOptimWrapperConstructor']


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(LearningRateDecayOptimWrapperConstructor):
    """mmpretrain's layer-wise decay for any model whose backbone has ``get_layer_depth``.

    mmpretrain asks the whole model for the depth of a parameter, which only its own classifiers
    answer. This class asks ``model.backbone``; everything outside of the backbone has the full
    learning rate. ``paramwise_cfg`` takes ``layer_decay_rate``, ``norm_decay_mult``,
    ``bias_decay_mult``, ``flat_decay_mult`` (parameters with one axis) and ``custom_keys``.

    Raises:
        TypeError: If the model's backbone has no ``get_layer_depth``.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: object
    ) -> None:
        """Add the parameters of a module, with their learning rates, to the groups.

        Args:
            params (list[dict]): Parameter groups, extended in place.
            module (nn.Module): The whole model, or a part of it in the recursion.
            prefix (str): Name of the part. Defaults to ``''``, the whole model.
            **kwargs: As in mmpretrain.
        """
        if prefix == '':
            backbone = getattr(module, 'backbone', None)
            if backbone is None or not hasattr(backbone, 'get_layer_depth'):
                raise TypeError(
                    f'layer-wise learning-rate decay needs a backbone with get_layer_depth, and '
                    f'{type(backbone).__name__} of {type(module).__name__} has none'
                )
            kwargs['get_layer_depth'] = partial(backbone.get_layer_depth, prefix='backbone.')
        super().add_params(params, module, prefix=prefix, **kwargs)
