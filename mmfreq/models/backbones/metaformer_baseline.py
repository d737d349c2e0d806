"""The network that DFFormer, CDFFormer, GFFormer and DSM are, up to their token mixers.

MetaFormer's baseline, arXiv 2210.13452: overlapping patches, layer norms without bias, StarReLU,
MLPs without bias, and learned scales on the skip connections of the last two stages. Images have
any size; maps at stride 4 have ``(size + 1) // 4`` rows and columns, each later stage half of that,
rounded up.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.options import ResizableOptions
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.blocks import MetaFormerBlock
from mmfreq.models.layers import ConvDownsample
from mmfreq.models.pointwise import Mlp, StarReLU
from mmfreq.models.pretrained import rename
from mmfreq.models.stage import ChannelsLastStage

__all__ = ['INIT', 'MetaFormerBaseline', 'baseline_stage', 'baseline_stem', 'baseline_stem_size']

INIT: list[dict] = [dict(type='TruncNormal', layer=['Linear', 'Conv2d'], std=0.02, bias=0.0)]


def baseline_stem(in_channels: int, dim: int) -> ConvDownsample:
    """Stem from images to ``dim`` channels at stride 4."""
    return ConvDownsample(in_channels, dim, 7, stride=4, padding=2, norm_first=False)


def baseline_stem_size(side: int) -> int:
    """Side of the stem's maps for a side of an image."""
    return max((side + 1) // 4, 1)


def baseline_stage(
    i: int,
    embed_dims: Sequence[int],
    drop_paths: Sequence[float],
    token_mixer: Callable[[], nn.Module],
) -> ChannelsLastStage:
    """Build a stage.

    Args:
        i (int): Its number.
        embed_dims (Sequence[int]): Channels of all stages.
        drop_paths (Sequence[float]): Drop-path probability of each block.
        token_mixer (Callable): Called once for each block; returns its token mixer.

    Returns:
        ChannelsLastStage: The stage.
    """
    dim = embed_dims[i]
    blocks = [
        MetaFormerBlock(
            dim,
            token_mixer(),
            Mlp(dim, 4 * dim, act=StarReLU, bias=False),
            norm_bias=False,
            res_scale_init=1.0 if i >= 2 else None,
            drop_path=drop_path,
        )
        for drop_path in drop_paths
    ]
    downsample = ConvDownsample(embed_dims[i - 1], dim) if i > 0 else None
    return ChannelsLastStage(downsample, blocks)


class MetaFormerBaseline(ResizableBackbone):
    """The baseline with spectral filters as token mixers, which are stored for a size of images.

    Args:
        token_mixer (Callable): Called with the number of a stage, its channels and the size
            ``(h, w)`` of its maps at ``img_size``; returns a block's token mixer.
        arch (str | dict): A name of ``arch_settings``, or a dict with ``embed_dims`` and
            ``depths``.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    checkpoints = 'released classifiers of okojoalg/dfformer'
    default_init: ClassVar[list[dict]] = INIT

    def __init__(
        self,
        token_mixer: Callable[[int, int, tuple[int, int]], nn.Module],
        arch: str | dict,
        **options: Unpack[ResizableOptions],
    ) -> None:
        settings = resolve_arch(arch, self.arch_settings)
        dims = settings['embed_dims']
        super().__init__(
            stem=lambda in_channels, _: baseline_stem(in_channels, dims[0]),
            stage=lambda i, drop_paths, size: baseline_stage(
                i, dims, drop_paths, lambda: token_mixer(i, dims[i], size)
            ),
            stem_size=baseline_stem_size,
            **settings,
            **options,
        )

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Names and layouts of this library for the tensors of a released checkpoint.

        The norm of a released classifier works on pooled features: it is dropped with the head, and
        norms of outputs start fresh, as in the original's dense models.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Renamed tensors, None if this is not a released checkpoint.
        """
        if not any(name.startswith('downsample_layers.') for name in state_dict):
            return None
        renamed = rename(state_dict, _RENAMING)
        for name, tensor in renamed.items():
            if name.endswith('.filters.weight') and tensor.ndim == 4:
                renamed[name] = tensor.permute(2, 0, 1, 3)  # (h, w // 2 + 1, N, 2) in the original
        return renamed


_RENAMING = (
    (r'^downsample_layers\.0\.post_norm\.', 'patch_embed.norm.'),
    (r'^downsample_layers\.0\.', 'patch_embed.'),
    (r'^downsample_layers\.(\d+)\.pre_norm\.', r'stages.\1.downsample.norm.'),
    (r'^downsample_layers\.(\d+)\.', r'stages.\1.downsample.'),
    (r'^stages\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
    (r'\.complex_weights$', '.filters.weight'),
    (r'\.token_mixer\.act1\.', '.token_mixer.act.'),
    (r'\.(res_scale\d)\.scale$', r'.\1.weight'),
)
