"""AFFNet: Adaptive Frequency Filters As Efficient Global Token Mixers, arXiv 2307.14008."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from mmcv.cnn import ConvModule, build_norm_layer
from mmcv.cnn.bricks.conv_module import efficient_conv_bn_eval_forward
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.base import BATCH_NORM, StagedBackbone
from mmfreq.models.backbones.options import BackboneOptions
from mmfreq.models.layers import build_drop_path
from mmfreq.models.mixers import AdaptiveFilter
from mmfreq.models.pretrained import rename
from mmfreq.models.stage import Stage
from mmfreq.ops.tracing import is_traced
from mmfreq.registry import MODELS

__all__ = ['AFFNet', 'StdLayerNorm']

SILU = dict(type='SiLU')
BLOCK_NORM = dict(type='GN', num_groups=1, eps=1e-5)


@MODELS.register_module()
class StdLayerNorm(nn.Module):
    """Norm over the channels of each pixel, ``(x - mean) / (std + eps)``.

    CVNets' ``layer_norm`` on feature maps; it adds ``eps`` to the deviation, not to the variance.
    Only for AFFNets that were trained with it, by ``block_norm_cfg``.

    Args:
        dim (int): Number of channels ``C``.
        eps (float): Defaults to 1e-5.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise features ``(B, C, H, W)``."""
        std, mean = torch.std_mean(x, dim=1, keepdim=True, correction=0)
        normed = (x - mean) / (std + self.eps)
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


class ConvNorm(ConvModule):
    """Convolution, norm and activation; in evaluation a batch norm becomes part of the weights."""

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        """Map features ``(B, C, H, W)`` to ``(B, C', H', W')``."""
        if self.with_activation and hasattr(self.activate, 'inplace'):
            # For its gradient SiLU in place copies the input that it overwrites.
            self.activate.inplace = not torch.is_grad_enabled()
        folds = norm and isinstance(self.norm, _BatchNorm) and not self.norm.training
        if not folds or is_traced():  # whoever runs a graph has better ways to do that
            return super().forward(x, activate, norm)
        x = efficient_conv_bn_eval_forward(self.norm, self.conv, x)
        return self.activate(x) if activate and self.with_activation else x


class MBConv(nn.Module):
    """Inverted residual of MobileNetV2, arXiv 1801.04381: 1x1, depthwise 3x3, 1x1.

    With a skip connection if neither size nor number of channels changes.

    Args:
        in_dim (int): Number of input channels.
        dim (int): Number of output channels.
        expand_ratio (int): Channels inside per input channel.
        stride (int): Stride of the depthwise convolution. Defaults to 1.
        dilation (int): Dilation of the depthwise convolution. Defaults to 1.
        norm_cfg (dict): Config of the norms.
        act_cfg (dict): Config of the activations.
    """

    def __init__(
        self,
        in_dim: int,
        dim: int,
        expand_ratio: int,
        stride: int = 1,
        dilation: int = 1,
        *,
        norm_cfg: dict,
        act_cfg: dict,
    ) -> None:
        super().__init__()
        hidden = expand_ratio * in_dim
        self.expand = ConvNorm(in_dim, hidden, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.depthwise = ConvNorm(
            hidden,
            hidden,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=hidden,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        self.project = ConvNorm(hidden, dim, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.has_skip = stride == 1 and in_dim == dim

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, C, H, W)`` to ``(B, C', H', W')``."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.has_skip else y


class AFFBlock(nn.Module):
    """Channels first, then tokens, under one residual: ``x + filter(norm2(mbconv(norm1(x))))``.

    MBConv and filter have skip connections of their own, as in the original's code.

    Args:
        dim (int): Number of channels.
        drop_path (float): Probability of dropping the branch of a sample.
        norm_cfg (dict): Config of the norms inside of the MBConv.
        act_cfg (dict): Config of the activations.
        block_norm_cfg (dict): Config of the norms before MBConv and filter.
    """

    def __init__(
        self, dim: int, drop_path: float, norm_cfg: dict, act_cfg: dict, block_norm_cfg: dict
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(block_norm_cfg, dim)[1]
        self.mlp = MBConv(dim, dim, 2, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.norm2 = build_norm_layer(block_norm_cfg, dim)[1]
        self.token_mixer = AdaptiveFilter(dim, act_cfg)
        self.drop_path = build_drop_path(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, C, H, W)`` to features of the same shape."""
        normed = self.norm2(self.mlp(self.norm1(x)))
        mixed = self.token_mixer(normed.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.drop_path(mixed)


class AFFStage(Stage):
    """Stage that ends with a fusion of input and output of its blocks.

    Args:
        downsample (nn.Module): Maps ``(B, C, H, W)`` to the stage's channels and size.
        blocks (Sequence[nn.Module]): Blocks on ``(B, C, H, W)``.
        fusion (nn.Module): Maps input and output of the blocks to one map.
    """

    def __init__(
        self, downsample: nn.Module, blocks: Sequence[nn.Module], fusion: nn.Module
    ) -> None:
        super().__init__(downsample, blocks)
        self.fusion = fusion

    def run_blocks(self, x: Tensor) -> Tensor:
        """Apply blocks and fusion to features ``(B, C', H', W')``."""
        return self.fusion(x, super().run_blocks(x))


class Fusion(nn.Module):
    """Norm and projection of the blocks' output, and a 1x1 convolution over it and their input.

    Args:
        dim (int): Number of channels.
        norm_cfg (dict): Config of the norms of the convolutions.
        act_cfg (dict): Config of the activation.
        block_norm_cfg (dict): Config of the norm behind the blocks.
    """

    def __init__(self, dim: int, norm_cfg: dict, act_cfg: dict, block_norm_cfg: dict) -> None:
        super().__init__()
        self.norm = build_norm_layer(block_norm_cfg, dim)[1]
        self.proj = ConvNorm(dim, dim, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.fuse = ConvNorm(2 * dim, dim, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Map two maps ``(B, C, H, W)`` to one."""
        return self.fuse(torch.cat([before, self.proj(self.norm(after))], dim=1))


@MODELS.register_module()
class AFFNet(StagedBackbone):
    """Adaptive Frequency Filter network, a light-weight backbone of MBConvs and spectral masks.

    After microsoft/TokenMixers, folder ``Adaptive Frequency Filters``, whose CVNets-style files are
    taken as they are. Images have any size and no parameter depends on it. The original takes RGB
    images in [0, 1] without further normalisation.

    ====  =======================  ===========  ============  ==========  ==============
    arch  ``embed_dims``           ``depths``   MBConv ratio  parameters  original name
    ====  =======================  ===========  ============  ==========  ==============
    et    48, 64, 104, 144, 576    2, 2, 4, 3   2             0.86 M      AFFNet-ET
    t     48, 96, 160, 192, 768    2, 2, 4, 3   4             1.89 M      AFFNet-T
    base  64, 128, 256, 320, 960   2, 2, 4, 3   4             4.61 M      AFFNet
    ====  =======================  ===========  ============  ==========  ==============

    The fifth stage is the 1x1 convolution before the original's classifier; parameters are counted
    with it. It exists only if ``out_indices`` asks for it. Outputs are raw features, as the
    original's dense models take them.

    Args:
        arch (str | dict): A name from the table, or a dict with ``embed_dims``, ``depths`` and
            ``expand_ratio`` of four stages, the last three with channels that 8 divides; a fifth
            number of channels, with depth 0, adds the final convolution. Defaults to ``'base'``.
        output_stride (int): Largest stride, 8, 16 or 32; strides beyond it become dilations, as
            DeepLabV3 needs. Defaults to 32.
        norm_cfg (dict): Norm of the convolutions. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Activation, also inside the masks. Defaults to ``dict(type='SiLU')``.
        block_norm_cfg (dict): Norm of the blocks. Defaults to one group over channels and
            positions, which released models use; ``dict(type='mmfreq.StdLayerNorm')`` is the
            original's other one.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range, or 8 does not divide the channels of
            a stage with filters; the message names it.
    """

    default_options: ClassVar[BackboneOptions] = dict(out_indices=(0, 1, 2, 3), out_norm=None)
    checkpoints = 'released classifiers and segmentors of microsoft/TokenMixers'
    image_mean, image_std = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
    arch_settings: ClassVar[dict[str, dict]] = {
        'et': dict(embed_dims=(48, 64, 104, 144, 576), depths=(2, 2, 4, 3, 0), expand_ratio=2),
        't': dict(embed_dims=(48, 96, 160, 192, 768), depths=(2, 2, 4, 3, 0), expand_ratio=4),
        'base': dict(embed_dims=(64, 128, 256, 320, 960), depths=(2, 2, 4, 3, 0), expand_ratio=4),
    }
    stem_dims = (16, 32)
    default_init: ClassVar[list[dict]] = [dict(type='Kaiming', layer='Conv2d', mode='fan_out')]

    def __init__(
        self,
        arch: str | dict = 'base',
        output_stride: int = 32,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SILU,
        block_norm_cfg: dict = BLOCK_NORM,
        **options: Unpack[BackboneOptions],
    ) -> None:
        settings = resolve_arch(arch, self.arch_settings, ('embed_dims', 'depths', 'expand_ratio'))
        embed_dims, depths = settings['embed_dims'], settings['depths']
        expand_ratio = settings['expand_ratio']
        if output_stride not in (8, 16, 32):
            raise ValueError(f'output_stride must be 8, 16 or 32, got {output_stride}')
        layers: dict[str, Any] = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)

        def stem(in_channels: int) -> nn.Module:
            return nn.Sequential(
                ConvNorm(in_channels, self.stem_dims[0], 3, stride=2, padding=1, **layers),
                MBConv(*self.stem_dims, expand_ratio, **layers),
            )

        def stage(i: int, drop_paths: list[float]) -> nn.Module:
            dim, in_dim = embed_dims[i], embed_dims[i - 1] if i > 0 else self.stem_dims[1]
            if i == 4:
                return ConvNorm(in_dim, dim, 1, **layers)
            strided = 4 * 2**i <= output_stride
            # The first convolution behind a removed stride still sees the finer map undilated.
            dilation = 1 if strided else max(2 * 2**i // output_stride, 1)
            downsample = MBConv(in_dim, dim, expand_ratio, 2 if strided else 1, dilation, **layers)
            if i == 0:
                convs = [MBConv(dim, dim, expand_ratio, **layers) for _ in drop_paths]
                return Stage(downsample, convs)
            blocks = [AFFBlock(dim, p, **layers, block_norm_cfg=block_norm_cfg) for p in drop_paths]
            fusion = Fusion(dim, **layers, block_norm_cfg=block_norm_cfg)
            return AFFStage(downsample, blocks, fusion)

        super().__init__(
            stem=stem,
            stage=stage,
            embed_dims=embed_dims,
            depths=depths,
            **self.default_options | options,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps, see :class:`StagedBackbone`; on a CPU channels-last inside."""
        if x.ndim == 4 and x.device.type == 'cpu' and not is_traced():
            x = x.contiguous(memory_format=torch.channels_last)  # oneDNN is faster with it
        return super().forward(x)

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rename a released checkpoint, of a classifier or of a segmentor's encoder.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a released AFFNet or of this class.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Tensors by this model's names, and an empty list.
        """
        if not any('.global_rep.' in name for name in state_dict):
            return state_dict, []
        return rename(state_dict, _RENAMING), []


_RENAMING = (
    (r'^encoder\.', ''),
    (r'^conv_1\.block\.', 'patch_embed.0.'),
    (r'^layer_1\.0\.', 'patch_embed.1.'),
    (r'^layer_2\.0\.', 'stages.0.downsample.'),
    (r'^layer_2\.1\.', 'stages.0.blocks.0.'),
    (r'^layer_2\.2\.', 'stages.0.blocks.1.'),
    (r'^layer_3\.', 'stages.1.'),
    (r'^layer_4\.', 'stages.2.'),
    (r'^layer_5\.', 'stages.3.'),
    (r'^conv_1x1_exp\.block\.', 'stages.4.'),
    (r'^(stages\.[123])\.0\.', r'\1.downsample.'),
    (r'^(stages\.[123])\.1\.global_rep\.\d+\.(weight|bias)$', r'\1.fusion.norm.\2'),
    (r'^(stages\.[123])\.1\.global_rep\.', r'\1.blocks.'),
    (r'^(stages\.[123])\.1\.conv_proj\.block\.', r'\1.fusion.proj.'),
    (r'^(stages\.[123])\.1\.fusion\.block\.', r'\1.fusion.fuse.'),
    (r'\.block\.exp_1x1\.block\.', '.expand.'),
    (r'\.block\.conv_3x3\.block\.', '.depthwise.'),
    (r'\.block\.red_1x1\.block\.', '.project.'),
    (r'\.filter\.([wb][12])$', r'.token_mixer.\1'),
    (r'(patch_embed\.0|stages\.4|expand|depthwise|project|proj|fuse)\.norm\.', r'\1.bn.'),
)
