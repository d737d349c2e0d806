"""mmfreq: frequency-domain backbones for OpenMMLab's dense-prediction libraries.

Importing this package loads neither torch nor any OpenMMLab library. Ask for ``mmfreq.ops``,
``mmfreq.models`` or ``mmfreq.registry``, call one of the functions below, or write
``type='mmfreq.GFNet'`` in a config, and only what is needed is imported.
"""

from typing import TYPE_CHECKING, Any

from mmfreq.mmengine_patches import know_our_configs
from mmfreq.version import __version__

if TYPE_CHECKING:
    from mmfreq.apis import create_backbone, init_model, list_backbones, predict

__all__ = ['__version__', 'create_backbone', 'init_model', 'list_backbones', 'predict']

know_our_configs()


def __getattr__(name: str) -> Any:
    if name in __all__:
        from mmfreq import apis

        return getattr(apis, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
