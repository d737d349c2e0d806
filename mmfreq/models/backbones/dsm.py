"""DSM: a reconstruction of the Dynamic Spectrum Mixer, arXiv 2309.06721, from its abstract."""

from typing import Any, ClassVar

from mmfreq.models.backbones.metaformer_baseline import MetaFormerBaseline
from mmfreq.models.mixers.dynamic_spectrum import DynamicSpectrum
from mmfreq.registry import MODELS

__all__ = ['DSM']


@MODELS.register_module()
class DSM(MetaFormerBaseline):
    """Dynamic spectrum mixers on the cosine transform in all stages.

    **This is our reconstruction.** Of the Dynamic Spectrum Mixer only the abstract is public: no
    equations, no architecture, no code, no weights. From it come the DCT and the per-image choice
    of spectrum bands. The rest, and every number, is this project's: none of the paper's results is
    to be expected from this network.

    ====  =====================  ============  ==========
    arch  ``embed_dims``         ``depths``    parameters
    ====  =====================  ============  ==========
    s     64, 128, 320, 512      3, 3, 10, 3   28.47 M
    b     64, 128, 320, 512      3, 12, 24, 3  50.92 M
    ====  =====================  ============  ==========

    Args:
        arch (str | dict): A name from the table, or a dict with ``embed_dims`` and ``depths``.
            Defaults to ``'s'``.
        **kwargs: See :class:`MetaFormerBaseline`. No parameter depends on the size of images, so
            ``img_size`` and ``resize_mode`` change nothing.

    Raises:
        ValueError: If an argument is unknown or out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]] = {
        's': dict(embed_dims=(64, 128, 320, 512), depths=(3, 3, 10, 3)),
        'b': dict(embed_dims=(64, 128, 320, 512), depths=(3, 12, 24, 3)),
    }

    def __init__(self, arch: str | dict = 's', **kwargs: Any) -> None:
        super().__init__(lambda _, dim, size: DynamicSpectrum(dim), arch, **kwargs)
