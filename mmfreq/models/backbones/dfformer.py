"""DFFormer, CDFFormer, GFFormer: FFT-based Dynamic Token Mixer for Vision, arXiv 2303.03932."""

from typing import ClassVar

from torch import nn
from typing_extensions import Unpack

from mmfreq.models.backbones.metaformer_baseline import MetaFormerBaseline
from mmfreq.models.backbones.options import ResizableOptions
from mmfreq.models.mixers import DynamicFilter, ExpandedGlobalFilter, SeparableConv
from mmfreq.registry import MODELS

__all__ = ['CDFFormer', 'DFFormer', 'GFFormer']


@MODELS.register_module()
class DFFormer(MetaFormerBaseline):
    """Dynamic filters in all stages.

    After `dfformer <https://github.com/okojoalg/dfformer>`_ (``models/dfformer.py``,
    ``segmentation/backbone``), whose files are taken as they are.

    ====  =====================  ============  ==========  ==========
    arch  ``embed_dims``         ``depths``    DFFormer    CDFFormer
    ====  =====================  ============  ==========  ==========
    s18   64, 128, 320, 512      3, 3, 9, 3    27.22 M     27.09 M
    s36   64, 128, 320, 512      3, 12, 18, 3  42.51 M     42.13 M
    m36   96, 192, 384, 576      3, 12, 18, 3  61.68 M     60.79 M
    b36   128, 256, 512, 768     3, 12, 18, 3  109.55 M    107.93 M
    ====  =====================  ============  ==========  ==========

    Parameters are counted at ``img_size=224`` with the norm of the last output.

    Args:
        arch (str | dict): A name from the table, or a dict with ``embed_dims`` and ``depths``.
            Defaults to ``'s18'``.
        num_filters (int): Basis filters of each mixer. Defaults to 4.
        reweight_ratio (float): Hidden channels per channel of the MLP that combines them. Defaults
            to 0.25.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]] = {
        's18': dict(embed_dims=(64, 128, 320, 512), depths=(3, 3, 9, 3)),
        's36': dict(embed_dims=(64, 128, 320, 512), depths=(3, 12, 18, 3)),
        'm36': dict(embed_dims=(96, 192, 384, 576), depths=(3, 12, 18, 3)),
        'b36': dict(embed_dims=(128, 256, 512, 768), depths=(3, 12, 18, 3)),
    }
    conv_stages = 0  # stages, from the first, with separable convolutions instead

    def __init__(
        self,
        arch: str | dict = 's18',
        num_filters: int = 4,
        reweight_ratio: float = 0.25,
        **options: Unpack[ResizableOptions],
    ) -> None:
        def token_mixer(stage: int, dim: int, size: tuple[int, int]) -> nn.Module:
            if stage < self.conv_stages:
                return SeparableConv(dim)
            return DynamicFilter(dim, size, num_filters, reweight_ratio)

        super().__init__(token_mixer, arch, **options)


@MODELS.register_module()
class CDFFormer(DFFormer):
    """Separable convolutions in the first two stages, dynamic filters in the last two.

    See :class:`DFFormer` for the table of architectures and the arguments.
    """

    conv_stages = 2


@MODELS.register_module()
class GFFormer(MetaFormerBaseline):
    """Static filters, one per expanded channel, in all stages: the ablation of arXiv 2303.03932.

    Args:
        arch (str | dict): ``'s18'`` (26.54 M parameters at ``img_size=224``), or a dict with
            ``embed_dims`` and ``depths``. Defaults to ``'s18'``.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]] = {'s18': DFFormer.arch_settings['s18']}

    def __init__(self, arch: str | dict = 's18', **options: Unpack[ResizableOptions]) -> None:
        super().__init__(lambda _, dim, size: ExpandedGlobalFilter(dim, size), arch, **options)
