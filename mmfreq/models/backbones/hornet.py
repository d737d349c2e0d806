"""HorNet: Efficient High-Order Spatial Interactions, arXiv 2207.14284."""

from typing import Any, ClassVar

from torch import Tensor, nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.metaformer_baseline import INIT
from mmfreq.models.backbones.options import ResizableOptions
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.blocks import MetaFormerBlock
from mmfreq.models.layers import ConvDownsample
from mmfreq.models.mixers import DepthwiseConv, GlobalLocalFilter, RecursiveGatedConv
from mmfreq.models.pointwise import Mlp
from mmfreq.models.pretrained import rename
from mmfreq.models.stage import ChannelsLastStage
from mmfreq.registry import MODELS

__all__ = ['HorNet']

OPTIONAL: dict[str, Any] = dict(orders=(2, 3, 4, 5), filter_stages=(2, 3), layer_scale_init=1e-6)


def _variants() -> dict[str, dict]:
    variants = {}
    for name, dim in (('tiny', 64), ('small', 96), ('base', 128), ('large', 192)):
        shape = dict(embed_dims=tuple(dim * 2**i for i in range(4)), depths=(2, 3, 18, 2))
        variants[f'{name}-gf'] = {**shape, **OPTIONAL}
        variants[f'{name}-7x7'] = {**shape, **OPTIONAL, 'filter_stages': ()}
    return variants


@MODELS.register_module()
class HorNet(ResizableBackbone):
    """Recursive gates, in the last two stages on global filters.

    After `HorNet <https://github.com/raoyongming/HorNet>`_ (``hornet.py``, and the backbones of its
    dense models), whose files are taken as they are. Maps at stride 4 have ``size // 4`` rows and
    columns, each later stage half of that, rounded down, and at least one. Images of less than the
    stride are zero-padded.

    =====  ====================  ============  ==========  ==========
    arch   ``embed_dims``        ``depths``    ``-gf``     ``-7x7``
    =====  ====================  ============  ==========  ==========
    tiny   64, 128, 256, 512     2, 3, 18, 2   22.48 M     21.90 M
    small  96, 192, 384, 768     2, 3, 18, 2   49.63 M     48.76 M
    base   128, 256, 512, 1024   2, 3, 18, 2   87.40 M     86.23 M
    large  192, 384, 768, 1536   2, 3, 18, 2   194.75 M    193.01 M
    =====  ====================  ============  ==========  ==========

    Parameters are counted at ``img_size=224`` with the norm of the last output. ``-7x7`` has
    depthwise convolutions in all stages, and nothing that depends on ``img_size``. The originals
    trained with a ``drop_path_rate`` of 0.2, 0.4, 0.5, 0.2 (tiny, small, base, large).

    Args:
        arch (str | dict): A name from the table with its ending, or a dict with ``embed_dims`` and
            ``depths`` and optionally ``orders``, the number of gates of each stage (2, 3, 4, 5),
            ``filter_stages``, those with global filters (2, 3), and ``layer_scale_init`` (1e-6).
            Defaults to ``'tiny-gf'``.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    checkpoints = 'classifiers and dense models of raoyongming/HorNet, classifiers of mmpretrain'
    arch_settings: ClassVar[dict[str, dict]] = _variants()
    default_init: ClassVar[list[dict]] = INIT

    def __init__(self, arch: str | dict = 'tiny-gf', **options: Unpack[ResizableOptions]) -> None:
        given = resolve_arch(arch, self.arch_settings, optional=tuple(OPTIONAL))
        settings = {**OPTIONAL, **given}
        dims, orders = settings['embed_dims'], settings['orders']
        if len(orders) < len(dims):
            raise ValueError(
                f'arch needs an entry of orders for each of its {len(dims)} stages, got {orders}'
            )
        strange = set(given.get('filter_stages', ())) - set(range(len(dims)))
        if strange:
            raise ValueError(
                f'filter_stages of arch must be numbers of its {len(dims)} stages, from 0, got '
                f'{sorted(strange)}'
            )

        def token_mixer(i: int, size: tuple[int, int]) -> nn.Module:
            def spatial_filter(dim: int) -> nn.Module:
                if i in settings['filter_stages']:
                    return GlobalLocalFilter(dim, size)
                return DepthwiseConv(dim, 7)

            return RecursiveGatedConv(dims[i], orders[i], spatial_filter)

        def stage(i: int, drop_paths: list[float], size: tuple[int, int]) -> ChannelsLastStage:
            blocks = [
                MetaFormerBlock(
                    dims[i],
                    token_mixer(i, size),
                    Mlp(dims[i], 4 * dims[i]),
                    layer_scale_init=settings['layer_scale_init'],
                    drop_path=drop_path,
                )
                for drop_path in drop_paths
            ]
            downsample = None
            if i > 0:
                downsample = ConvDownsample(dims[i - 1], dims[i], 2, padding=0, norm_bias=True)
            return ChannelsLastStage(downsample, blocks)

        super().__init__(
            stem=lambda in_channels, _: ConvDownsample(
                in_channels, dims[0], 4, stride=4, padding=0, norm_first=False, norm_bias=True
            ),
            stage=stage,
            stem_size=lambda side: max(side // 4, 1),
            next_size=lambda side: max(side // 2, 1),
            embed_dims=dims,
            depths=settings['depths'],
            **options,
        )

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Names and layouts of this library for the tensors of a released checkpoint.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Renamed tensors, None if this is not a released HorNet.
        """
        if not any('.gnconv.' in name for name in state_dict):
            return None
        return rename(state_dict, _RENAMING)


_RENAMING = (
    (r'^downsample_layers\.0\.0\.', 'patch_embed.conv.'),
    (r'^downsample_layers\.0\.1\.', 'patch_embed.norm.'),
    (r'^downsample_layers\.(\d+)\.0\.', r'stages.\1.downsample.norm.'),
    (r'^downsample_layers\.(\d+)\.1\.', r'stages.\1.downsample.conv.'),
    (r'^stages\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
    (r'\.gamma(\d)(\.weight)?$', r'.layer_scale\1.weight'),  # mmpretrain has modules
    (r'\.pwconv(\d)\.', r'.mlp.fc\1.'),
    (r'\.gnconv\.dwconv\.complex_weight$', '.token_mixer.spatial_filter.global_filters.weight'),
    (r'\.gnconv\.dwconv\.dw\.', '.token_mixer.spatial_filter.local_filters.'),
    (r'\.gnconv\.dwconv\.', '.token_mixer.spatial_filter.'),
    (r'\.gnconv\.(pws|projs)\.', '.token_mixer.expansions.'),  # of the authors, of mmpretrain
    (r'\.gnconv\.', '.token_mixer.'),
)
