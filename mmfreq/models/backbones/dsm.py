"""DSM: a reconstruction of the Dynamic Spectrum Mixer, arXiv 2309.06721, from its abstract."""

from typing import Any, ClassVar

from torch import nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.backbones.metaformer_baseline import INIT, baseline_stage, baseline_stem
from mmfreq.models.backbones.options import BackboneOptions
from mmfreq.models.mixers.dynamic_spectrum import DynamicSpectrum
from mmfreq.registry import MODELS

__all__ = ['DSM']


@MODELS.register_module()
class DSM(StagedBackbone):
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
        dynamic (bool): Whether bands are weighted anew for each image, as in the paper; if not, the
            weights are learned, but the same for all images. Defaults to True.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]] = {
        's': dict(embed_dims=(64, 128, 320, 512), depths=(3, 3, 10, 3)),
        'b': dict(embed_dims=(64, 128, 320, 512), depths=(3, 12, 24, 3)),
    }

    default_init: ClassVar[list[dict]] = INIT

    def __init__(
        self, arch: str | dict = 's', dynamic: bool = True, **options: Unpack[BackboneOptions]
    ) -> None:
        if not isinstance(dynamic, bool):
            raise ValueError(f'dynamic must be True or False, got {dynamic!r}')
        settings = resolve_arch(arch, self.arch_settings)
        dims = settings['embed_dims']
        super().__init__(
            stem=lambda in_channels: baseline_stem(in_channels, dims[0]),
            stage=lambda i, drop_paths: baseline_stage(
                i, dims, drop_paths, lambda: DynamicSpectrum(dims[i], dynamic)
            ),
            **settings,
            **options,
        )
        self.register_load_state_dict_pre_hook(_drop_sizes)


def _drop_sizes(
    _model: nn.Module, state_dict: dict[str, Any], prefix: str, *_details: object
) -> None:
    """Leave out what checkpoints of version 0.1 stored as if filters had a size."""
    for name in ('filter_sizes', 'resize_mode_id'):
        state_dict.pop(f'{prefix}{name}', None)
