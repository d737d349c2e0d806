"""ResNet with frequency dynamic convolutions, arXiv 2503.18783."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from mmpretrain.models.backbones import ResNet
from torch import Tensor, nn

from mmfreq.models.backbones.base import LoadsPretrained, check_images, resolve_out_indices
from mmfreq.models.backbones.metaformer import run_block
from mmfreq.models.fdconv import FDConv
from mmfreq.registry import MODELS

__all__ = ['FDResNet']

MODULATION = r'.*\.(attention|local_attention|bands)\.'
NOTHING = r'(?!)'


class CheckpointedStage(nn.Sequential):
    """Blocks that are computed again in the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks one after the other."""
        for block in self:
            x = run_block(block, x, with_cp=True)
        return x


@MODELS.register_module()
class FDResNet(LoadsPretrained, ResNet):
    """mmpretrain's ResNet with FDConv for all convolutions of the residual branches.

    As in Linwei-Chen/FDConv (``FDConv_detection/mmdet_custom/resnet.py``): the stem and the
    convolutions of skip connections stay plain. Outputs have strides 4, 8, 16, 32. At
    ``kernel_num=64`` there are 11.75 M (18), 27.16 M (50) and 48.54 M (101) parameters.

    Args:
        depth (int): 18, 34, 50, 101 or 152. Defaults to 50.
        out_indices (int | Sequence[int]): Stages whose features are returned. Defaults to all
            four; stages behind the last one are not built.
        kernel_num (int): Groups of coefficients, see :class:`FDConv`. Defaults to 64, as released.
        band_masks (str, optional): See :class:`FDConv`. Defaults to None: faithful once a
            checkpoint of the original was loaded, correct otherwise.
        drop_path_rate (float): Stochastic-depth rate of the last block. Defaults to 0.
        frozen_stages (int): -1 freezes nothing, 0 the stem, ``n`` also the first ``n`` stages.
            Defaults to -1.
        train_frozen_modulation (bool): Whether the attentions and the band modulation of frozen
            stages learn nevertheless, as the authors recommend with converted weights. Defaults to
            False.
        with_cp (bool): Recompute blocks in the backward pass to save memory. Defaults to False.
        norm_eval (bool): Keep batch norms in eval mode while training. Defaults to False.
        norm_cfg (dict): Config of the norms. Defaults to ``dict(type='BN')``.
        init_cfg (dict | list[dict], optional): Initialisation. ``dict(type='Pretrained',
            checkpoint=...)`` takes plain ResNets (``torchvision://resnet50``), which it reproduces
            until it is trained, checkpoints of the original and of this library. Defaults to None:
            Kaiming initialisation, and residual branches that start at zero.

    Raises:
        ValueError: If an argument is unknown or out of range; the message names it.
    """

    default_init: ClassVar[list[dict]] = [
        dict(type='Kaiming', layer=['Conv2d']),
        dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
    ]
    optional_in_checkpoint = NOTHING

    def __init__(
        self,
        depth: int = 50,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        kernel_num: int = 64,
        band_masks: str | None = None,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        train_frozen_modulation: bool = False,
        with_cp: bool = False,
        norm_eval: bool = False,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006, never changed
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if depth not in self.arch_settings:
            raise ValueError(f'depth must be one of {list(self.arch_settings)}, got {depth}')
        indices = resolve_out_indices(out_indices, 4)
        num_stages = indices[-1] + 1
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(
                f'frozen_stages must be in [-1, {num_stages}] with out_indices={out_indices}, '
                f'got {frozen_stages}'
            )
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        self.fdconv_cfg: dict[str, Any] = dict(kernel_num=kernel_num, band_masks=band_masks)
        self.train_frozen_modulation = train_frozen_modulation
        super().__init__(
            depth=depth,
            num_stages=num_stages,
            strides=(1, 2, 2, 2)[:num_stages],
            dilations=(1,) * num_stages,
            out_indices=indices,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            norm_eval=norm_eval,
            norm_cfg=norm_cfg,
            drop_path_rate=drop_path_rate,
            init_cfg=init_cfg,
        )

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Number of channels of each output."""
        return tuple(self.base_channels * self.expansion * 2**i for i in self.out_indices)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps, see :meth:`StagedBackbone.forward`."""
        check_images(x)
        return super().forward(x)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, see :meth:`StagedBackbone.get_layer_depth`; any ``depth``.

        Args:
            param_name (str): Name of the parameter in the whole model.
            prefix (str): Name of the backbone in the model, with a dot, e.g. ``'backbone.'``.

        Returns:
            tuple[int, int]: Depth and number of depths.
        """
        num_layers = sum(self.stage_blocks) + 2
        if not param_name.startswith(prefix):
            return num_layers - 1, num_layers
        place = re.match(r'layer(\d+)\.(\d+)\.', param_name[len(prefix) :])
        if place is None:
            return 0, num_layers
        stage, block = (int(number) for number in place.groups())
        return sum(self.stage_blocks[: stage - 1]) + block + 1, num_layers

    def make_res_layer(self, **kwargs: Any) -> nn.Sequential:
        """Build a stage; mmpretrain's, with FDConv in place of the convolutions of its branches.

        Args:
            **kwargs: As in mmpretrain.

        Returns:
            nn.Sequential: Blocks of the stage.
        """
        stage = super().make_res_layer(**{**kwargs, 'with_cp': False})
        for block in stage:
            for name, conv in list(block.named_children()):
                if isinstance(conv, nn.Conv2d):
                    block.add_module(name, self._dynamic(conv))
        return CheckpointedStage(*stage) if self.with_cp else stage

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Convert the weights of a plain ResNet or of the original FDConv to this network's.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Tensors by this model's names, and an empty list.
        """
        adapted = dict(state_dict)
        for name, module in self.named_modules():
            if isinstance(module, FDConv):
                module.adapt_state_dict(adapted, f'{name}.')
        # Plain weights have no modulation at all; a checkpoint with some of it is incomplete.
        has_modulation = any('.attention.' in name for name in adapted)
        self.optional_in_checkpoint = NOTHING if has_modulation else MODULATION
        return adapted, []

    def train(self, mode: bool = True) -> 'FDResNet':
        """Switch to training or evaluation; frozen stages stay in evaluation."""
        super().train(mode)
        return self

    def _dynamic(self, conv: nn.Conv2d) -> FDConv:
        return FDConv(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            bias=conv.bias is not None,
            **self.fdconv_cfg,
        )

    def _freeze_stages(self) -> None:
        super()._freeze_stages()
        if self.train_frozen_modulation:
            for module in self.modules():
                if isinstance(module, FDConv) and module.is_dynamic:
                    for param in module.modulation_parameters():
                        param.requires_grad = True
