"""vHeat: Building Vision Models upon Heat Conduction, arXiv 2405.16555."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.options import ResizableOptions
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.blocks import MetaFormerBlock, PostNormBlock
from mmfreq.models.layers import ConvDownsample
from mmfreq.models.mixers import FrequencyEmbedding, HeatConduction
from mmfreq.models.pointwise import GELU, Mlp
from mmfreq.models.pretrained import rename
from mmfreq.models.stage import ChannelsLastStage
from mmfreq.registry import MODELS

__all__ = ['VHeat']

NORM_EPS = 1e-5  # of all norms but those of the stem


class HeatStage(ChannelsLastStage):
    """Stage whose blocks share an embedding of frequencies.

    Args:
        downsample (nn.Module, optional): See :class:`ChannelsLastStage`.
        blocks (Sequence[nn.Module]): Likewise.
        embedding (FrequencyEmbedding): The embedding.
    """

    def __init__(
        self,
        downsample: nn.Module | None,
        blocks: Sequence[nn.Module],
        embedding: FrequencyEmbedding,
    ) -> None:
        super().__init__(downsample, blocks)
        self.freq_embed = embedding

    def shared(self) -> tuple[nn.Module, ...]:
        """The embedding."""
        return (self.freq_embed,)


@MODELS.register_module()
class VHeat(ResizableBackbone):
    """Heat conduction on the cosine transform in all stages.

    After `vHeat <https://github.com/MzeroMiko/vHeat>`_ (``vHeat.py`` of its folders), whose files
    are taken as they are. Maps at stride 4 have ``size / 4`` rows and columns, rounded up, each
    later stage half of that, rounded up.

    =====  ====================  ============  =====  ==========
    arch   ``embed_dims``        ``depths``    norms  parameters
    =====  ====================  ============  =====  ==========
    tiny   96, 192, 384, 768     2, 2, 6, 2    pre    30.09 M
    small  96, 192, 384, 768     2, 2, 18, 2   post   51.45 M
    base   128, 256, 512, 1024   2, 2, 18, 2   post   91.11 M
    =====  ====================  ============  =====  ==========

    Parameters are counted at ``img_size=224`` with the norm of the last output. The published
    counts are those of a network for inference only, whose decays are constants. What
    ``resize_mode`` does is in :func:`mmfreq.ops.frequencies.resize_coefficients`; a released
    checkpoint for another ``img_size`` is padded with zeros when it is loaded, as its authors do.
    The originals
    trained with a ``drop_path_rate`` of 0.1, 0.3, 0.5 (tiny, small, base).

    Args:
        arch (str | dict): A name from the table, or a dict with ``embed_dims`` and ``depths`` and
            optionally ``post_norm``, whether norms are behind the branches (False), and
            ``layer_scale_init``, of scales on the branches (none). Defaults to ``'tiny'``.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    checkpoints = 'classifiers and dense models of MzeroMiko/vHeat'
    default_options: ClassVar[ResizableOptions] = dict(out_norm=dict(type='LN', eps=NORM_EPS))
    arch_settings: ClassVar[dict[str, dict]] = {
        'tiny': dict(embed_dims=(96, 192, 384, 768), depths=(2, 2, 6, 2)),
        'small': dict(
            embed_dims=(96, 192, 384, 768),
            depths=(2, 2, 18, 2),
            post_norm=True,
            layer_scale_init=1e-5,
        ),
        'base': dict(
            embed_dims=(128, 256, 512, 1024),
            depths=(2, 2, 18, 2),
            post_norm=True,
            layer_scale_init=1e-5,
        ),
    }

    def __init__(self, arch: str | dict = 'tiny', **options: Unpack[ResizableOptions]) -> None:
        optional = ('post_norm', 'layer_scale_init')
        settings = resolve_arch(arch, self.arch_settings, optional=optional)
        dims = settings['embed_dims']
        block = PostNormBlock if settings.get('post_norm', False) else MetaFormerBlock

        def stage(i: int, drop_paths: list[float], size: tuple[int, int]) -> HeatStage:
            blocks = [
                block(
                    dims[i],
                    HeatConduction(dims[i]),
                    Mlp(dims[i], 4 * dims[i]),
                    layer_scale_init=settings.get('layer_scale_init'),
                    drop_path=drop_path,
                    norm_eps=NORM_EPS,
                )
                for drop_path in drop_paths
            ]
            downsample = None
            if i > 0:
                downsample = ConvDownsample(
                    dims[i - 1],
                    dims[i],
                    norm_first=False,
                    norm_bias=True,
                    norm_eps=NORM_EPS,
                    bias=False,
                )
            return HeatStage(downsample, blocks, FrequencyEmbedding(dims[i], size))

        super().__init__(
            stem=lambda in_channels, _: nn.Sequential(
                ConvDownsample(in_channels, dims[0] // 2, norm_first=False, norm_bias=True),
                GELU(),
                ConvDownsample(dims[0] // 2, dims[0], norm_first=False, norm_bias=True),
            ),
            stage=stage,
            stem_size=lambda side: -(-side // 4),
            embed_dims=dims,
            depths=settings['depths'],
            **self.default_options | options,
        )

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Names and layouts of this library for the tensors of a released checkpoint.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Renamed tensors, None if this is not a released vHeat.
        """
        if not any(name.startswith('freq_embed.') for name in state_dict):
            return None
        renamed = rename(state_dict, _RENAMING)
        last = len(self.sizes) - 1
        if self.out_indices == (last,):  # a classifier has its norm there, dense models another
            return rename(renamed, ((r'^classifier\.0\.', f'norm{last}.'),))
        return renamed


_RENAMING = (
    (r'^patch_embed\.conv1\.', 'patch_embed.0.conv.'),
    (r'^patch_embed\.norm1\.1\.', 'patch_embed.0.norm.'),
    (r'^patch_embed\.conv2\.', 'patch_embed.2.conv.'),
    (r'^patch_embed\.norm2\.1\.', 'patch_embed.2.norm.'),
    (r'^freq_embed\.(\d+)$', r'stages.\1.freq_embed.weight'),
    (r'^outnorm(\d+)\.', r'norm\1.'),
    # Downsampling is behind the blocks of the stage before, blocks have names inside.
    *((rf'^layers\.{i}\.\d+\.0\.', f'stages.{i + 1}.downsample.conv.') for i in range(3)),
    *((rf'^layers\.{i}\.\d+\.1\.', f'stages.{i + 1}.downsample.norm.') for i in range(3)),
    (r'^layers\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
    (r'\.gamma(\d)$', r'.layer_scale\1.weight'),
    (r'\.op\.to_k\.0\.', '.token_mixer.to_k.'),
    (r'\.op\.', '.token_mixer.'),
)
