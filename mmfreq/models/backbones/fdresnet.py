"""ResNet with frequency dynamic convolutions, arXiv 2503.18783."""

from collections.abc import Sequence
from typing import Any, ClassVar

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmfreq.models.backbones.base import (
    BATCH_NORM,
    StagedBackbone,
    check_in_channels,
    check_size_arguments,
    resolve_out_indices,
)
from mmfreq.models.backbones.metaformer import Stage
from mmfreq.models.fdconv import FDConv
from mmfreq.models.pretrained import rename
from mmfreq.registry import MODELS

__all__ = ['FDResNet']

MODULATION = r'.*\.(attention|local_attention|bands)\.'
OUT_NORMS = r'norm\d+\.'


@MODELS.register_module()
class FDResNet(StagedBackbone):
    """ResNet of mmpretrain's blocks, with FDConv for all convolutions of the residual branches.

    As in Linwei-Chen/FDConv (``FDConv_detection/mmdet_custom/resnet.py``): the stem and the
    convolutions of skip connections stay plain. Outputs have strides 4, 8, 16, 32. At
    ``kernel_num=64`` there are 11.75 M (18), 27.16 M (50) and 50.00 M (101) parameters.

    Args:
        depth (int): 18, 34, 50, 101 or 152. Defaults to 50.
        out_indices (int | Sequence[int]): Stages whose features are returned. Defaults to all
            four; stages behind the last one are not built.
        kernel_num (int, optional): Groups of coefficients, see :class:`FDConv`. Defaults to 64, as
            released.
        band_masks (str, optional): See :class:`FDConv`. Defaults to None: faithful once a
            checkpoint of the original was loaded, correct otherwise.
        group_order (str, optional): See :class:`FDConv`. Defaults to None: as ``band_masks``.
        drop_path_rate (float): Stochastic-depth rate of the last block. Defaults to 0.
        frozen_stages (int): -1 freezes nothing, 0 the stem, ``n`` also the first ``n`` stages.
            Defaults to -1.
        train_frozen_modulation (bool): Whether the attentions and the band modulation of frozen
            stages learn nevertheless, as the authors recommend with converted weights. Defaults to
            False.
        with_cp (bool): Recompute blocks in the backward pass to save memory. Defaults to False.
        norm_eval (bool): Keep batch norms in eval mode while training. Defaults to False.
        norm_cfg (dict): Norm of the convolutions. Defaults to ``dict(type='BN')``.
        out_norm (dict, optional): Norm of each output. Defaults to None: raw features.
        img_size (int | tuple[int, int]): As for other backbones; nothing depends on it here.
        resize_mode (str, optional): As for other backbones; nothing is resized here.
        in_channels (int): Channels of images; pretrained RGB weights are adapted. Defaults to 3.
        backend (str): What computes spectral operations, one of
            :data:`mmfreq.ops.choice.BACKENDS`. Defaults to ``'auto'``.
        init_cfg (dict | list[dict], optional): Initialisation. ``dict(type='Pretrained',
            checkpoint=...)`` takes plain ResNets (``torchvision://resnet50``), which it reproduces
            until it is trained, checkpoints of the original and of this library. Defaults to None:
            Kaiming initialisation, and residual branches that start at zero.

    Raises:
        ValueError: If an argument is unknown or out of range; the message names it.
    """

    arch_settings: ClassVar[dict[int, tuple[int, int, int, int]]] = {
        18: (2, 2, 2, 2),
        34: (3, 4, 6, 3),
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
    }
    default_init: ClassVar[list[dict]] = [dict(type='Kaiming', layer='Conv2d')]

    def __init__(
        self,
        depth: int = 50,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        kernel_num: int | None = 64,
        band_masks: str | None = None,
        group_order: str | None = None,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        train_frozen_modulation: bool = False,
        with_cp: bool = False,
        norm_eval: bool = False,
        norm_cfg: dict = BATCH_NORM,
        out_norm: dict | None = None,
        img_size: int | tuple[int, int] = 224,
        resize_mode: str | None = None,
        in_channels: int = 3,
        backend: str = 'auto',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        # mmpretrain takes seconds to import, which users of other backbones need not wait for.
        from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck, ResLayer

        if depth not in self.arch_settings:
            raise ValueError(f'depth must be one of {list(self.arch_settings)}, got {depth}')
        check_in_channels(in_channels)
        check_size_arguments(img_size, resize_mode)
        block, expansion = (BasicBlock, 1) if depth < 50 else (Bottleneck, 4)
        embed_dims = [64 * 2**i * expansion for i in range(4)]
        options = dict(kernel_num=kernel_num, band_masks=band_masks, group_order=group_order)

        def stage(i: int, drop_paths: list[float]) -> Stage:
            blocks = ResLayer(
                block,
                len(drop_paths),
                embed_dims[i - 1] if i > 0 else 64,
                embed_dims[i],
                stride=2 if i > 0 else 1,
                norm_cfg=norm_cfg,
                drop_path_rate=drop_paths,
            )
            for residual in blocks:
                for name, conv in list(residual.named_children()):
                    if isinstance(conv, nn.Conv2d):
                        residual.add_module(name, _dynamic(conv, options))
                last_norm = residual.norm2 if block is BasicBlock else residual.norm3
                nn.init.zeros_(last_norm.weight)
            return Stage(None, blocks, with_cp)

        self.train_frozen_modulation = train_frozen_modulation
        super().__init__(
            patch_embed=nn.Sequential(
                ConvModule(in_channels, 64, 7, stride=2, padding=3, norm_cfg=norm_cfg),
                nn.MaxPool2d(3, stride=2, padding=1),
            ),
            stage=stage,
            embed_dims=embed_dims,
            depths=self.arch_settings[depth],
            out_indices=resolve_out_indices(out_indices, 4),
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            out_norm=out_norm,
            backend=backend,
            init_cfg=init_cfg,
        )

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Convert the weights of a plain ResNet or of the original FDConv to this network's.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Tensors by this model's names, and an empty list.
        """
        adapted = rename(state_dict, _RENAMING)
        for name, module in self.named_modules():
            if isinstance(module, FDConv):
                module.adapt_state_dict(adapted, f'{name}.')
        # Plain weights have no modulation at all; a checkpoint with some of it is incomplete.
        is_plain = not any('.attention.' in name for name in adapted)
        self.optional_in_checkpoint = f'{OUT_NORMS}|{MODULATION}' if is_plain else OUT_NORMS
        return adapted, []

    def _freeze_stages(self) -> None:
        super()._freeze_stages()
        if self.train_frozen_modulation:
            for module in self.modules():
                if isinstance(module, FDConv):
                    for param in module.modulation_parameters():
                        param.requires_grad = True


def _dynamic(conv: nn.Conv2d, options: dict[str, Any]) -> FDConv:
    return FDConv(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        bias=conv.bias is not None,
        **options,
    )


_RENAMING = (
    (r'^conv1\.', 'patch_embed.0.conv.'),
    (r'^bn1\.', 'patch_embed.0.bn.'),
    (r'^layer1\.', 'stages.0.blocks.'),
    (r'^layer2\.', 'stages.1.blocks.'),
    (r'^layer3\.', 'stages.2.blocks.'),
    (r'^layer4\.', 'stages.3.blocks.'),
)
