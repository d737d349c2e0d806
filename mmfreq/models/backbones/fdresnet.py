"""ResNet with frequency dynamic convolutions, arXiv 2503.18783."""

from typing import ClassVar

from mmcv.cnn import ConvModule
from torch import Tensor, nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.base import BATCH_NORM, StagedBackbone
from mmfreq.models.backbones.options import BackboneOptions
from mmfreq.models.fdconv import FDConv
from mmfreq.models.fdconv_hosts import make_dynamic
from mmfreq.models.pretrained import rename
from mmfreq.models.stage import Stage
from mmfreq.registry import MODELS

__all__ = ['FDResNet']

BASIC, WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)
MODULATION = r'.*\.(attention|local_attention|bands)\.'
OUT_NORMS = r'norm\d+\.'


@MODELS.register_module()
class FDResNet(StagedBackbone):
    """ResNet of mmpretrain's blocks, with FDConv for all convolutions of the residual branches.

    As in Linwei-Chen/FDConv (``FDConv_detection/mmdet_custom/resnet.py``): the stem and the
    convolutions of skip connections stay plain. Outputs have strides 4, 8, 16, 32. At
    ``kernel_num=64`` there are 11.75 M (18), 27.16 M (50) and 50.00 M (101) parameters.

    Args:
        arch (str | int | dict, optional): ``'18'``, ``'34'``, ``'50'``, ``'101'`` or ``'152'``, or
            a dict with ``embed_dims`` and ``depths`` of four stages and ``bottleneck``, whether
            blocks are bottlenecks. Defaults to None: ``'50'``.
        depth (int, optional): The former name of ``arch``. Defaults to None.
        kernel_num (int, optional): Groups of coefficients, see :class:`FDConv`. Defaults to 64, as
            released.
        band_masks (str, optional): See :class:`FDConv`. Defaults to None: faithful once a
            checkpoint of the original was loaded, correct otherwise.
        group_order (str, optional): See :class:`FDConv`. Defaults to None: as ``band_masks``.
        train_frozen_modulation (bool): Whether the attentions and the band modulation of frozen
            stages learn nevertheless, as the authors recommend with converted weights. Defaults to
            False.
        norm_cfg (dict): Norm of the convolutions. Defaults to ``dict(type='BN')``.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    default_options: ClassVar[BackboneOptions] = dict(out_norm=None)
    checkpoints = (
        'plain ResNets (torchvision, mmpretrain), which it reproduces until it is trained; '
        'detectors and segmentors of Linwei-Chen/FDConv'
    )
    arch_settings: ClassVar[dict[str, dict]] = {
        '18': dict(embed_dims=BASIC, depths=(2, 2, 2, 2), bottleneck=False),
        '34': dict(embed_dims=BASIC, depths=(3, 4, 6, 3), bottleneck=False),
        '50': dict(embed_dims=WIDE, depths=(3, 4, 6, 3), bottleneck=True),
        '101': dict(embed_dims=WIDE, depths=(3, 4, 23, 3), bottleneck=True),
        '152': dict(embed_dims=WIDE, depths=(3, 8, 36, 3), bottleneck=True),
    }
    default_init: ClassVar[list[dict]] = [dict(type='Kaiming', layer='Conv2d')]

    def __init__(
        self,
        arch: str | int | dict | None = None,
        depth: int | None = None,
        kernel_num: int | None = 64,
        band_masks: str | None = None,
        group_order: str | None = None,
        train_frozen_modulation: bool = False,
        norm_cfg: dict = BATCH_NORM,
        **options: Unpack[BackboneOptions],
    ) -> None:
        # mmpretrain takes seconds to import, which users of other backbones need not wait for.
        from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck, ResLayer

        if arch is not None and depth is not None:
            raise ValueError(f'depth is the former name of arch; give one, got {depth} and {arch}')
        arch = (arch or '50') if depth is None else depth
        settings = resolve_arch(
            str(arch) if isinstance(arch, int) else arch,
            self.arch_settings,
            ('embed_dims', 'depths', 'bottleneck'),
        )
        embed_dims = settings['embed_dims']
        block, expansion = (Bottleneck, 4) if settings['bottleneck'] else (BasicBlock, 1)
        stem_dim = embed_dims[0] // expansion
        dynamic = dict(kernel_num=kernel_num, band_masks=band_masks, group_order=group_order)

        def stage(i: int, drop_paths: list[float]) -> Stage:
            blocks = ResLayer(
                block,
                len(drop_paths),
                embed_dims[i - 1] if i > 0 else stem_dim,
                embed_dims[i],
                stride=2 if i > 0 else 1,
                norm_cfg=norm_cfg,
                drop_path_rate=drop_paths,
            )
            for residual in blocks:
                for name, conv in list(residual.named_children()):
                    if isinstance(conv, nn.Conv2d):
                        residual.add_module(name, make_dynamic(conv, **dynamic))
                last_norm = residual.norm2 if block is BasicBlock else residual.norm3
                nn.init.zeros_(last_norm.weight)
            return Stage(None, blocks)

        self.train_frozen_modulation = train_frozen_modulation
        super().__init__(
            stem=lambda in_channels: nn.Sequential(
                ConvModule(in_channels, stem_dim, 7, stride=2, padding=3, norm_cfg=norm_cfg),
                nn.MaxPool2d(3, stride=2, padding=1),
            ),
            stage=stage,
            embed_dims=embed_dims,
            depths=settings['depths'],
            **self.default_options | options,
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


_RENAMING = (
    (r'^conv1\.', 'patch_embed.0.conv.'),
    (r'^bn1\.', 'patch_embed.0.bn.'),
    (r'^layer1\.', 'stages.0.blocks.'),
    (r'^layer2\.', 'stages.1.blocks.'),
    (r'^layer3\.', 'stages.2.blocks.'),
    (r'^layer4\.', 'stages.3.blocks.'),
)
