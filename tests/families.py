"""A tiny network of every family, for tests of what all of them promise.

Every backbone that is registered here has one, made from the first of its known variants by making
it narrow and shallow; one with flat variants, too, has a flat one besides.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from mmfreq.models import backbones
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.backbones.resizable import ResizableBackbone

PYRAMID = dict(embed_dims=(8, 16, 24, 32), depths=(1, 2, 1, 1))
FLAT = dict(embed_dims=16, depths=4)
# Branches that start at nearly nothing would hide differences from tests.
VISIBLE = dict(layer_scale_init=0.1)
WIDER = {'FDResNet': dict(embed_dims=(24, 32, 40, 48))}  # FDConv leaves 16 channels plain


def tiny_networks(network: type[StagedBackbone]) -> Iterator[tuple[str, partial[Any]]]:
    """Names and constructors of tiny networks of a backbone."""
    first: dict[bool, dict] = {}
    for settings in network.arch_settings.values():
        first.setdefault(len(settings['embed_dims']) == 1, settings)
    size = dict(img_size=64) if issubclass(network, ResizableBackbone) else {}
    for flat, settings in sorted(first.items()):
        visible = {name: value for name, value in VISIBLE.items() if name in settings}
        shape = FLAT if flat else PYRAMID | WIDER.get(network.__name__, {})
        arch = {**settings, **shape, **visible}
        suffix = '-flat' if flat and len(first) > 1 else ''
        yield f'{network.__name__}{suffix}', partial(network, arch=arch, **size)


TINY = dict(
    named for name in backbones.__all__ for named in tiny_networks(getattr(backbones, name))
)
