"""What the arguments of backbones mean: variants, stages and image sizes."""

from collections.abc import Mapping, Sequence

from mmfreq.models.backbones.options import are_whole

__all__ = ['resolve_arch', 'resolve_out_indices', 'to_pair']


def resolve_out_indices(
    out_indices: int | Sequence[int] | None, num_stages: int
) -> tuple[int, ...]:
    """Check ``out_indices`` and return them as ascending non-negative stage numbers.

    Args:
        out_indices (int | Sequence[int], optional): As given by the user; None for the ends of four
            groups of stages.
        num_stages (int): Number of stages of the network.

    Returns:
        tuple[int]: Stage numbers.

    Raises:
        ValueError: If an index is out of range, or they are empty or not in ascending order.
    """
    if out_indices is None:
        ends = {max(i * num_stages // 4, 1) - 1 for i in range(1, 5)}
        return tuple(sorted(ends))
    indices = (out_indices,) if isinstance(out_indices, int) else tuple(out_indices)
    if not all(-num_stages <= i < num_stages for i in indices):
        raise ValueError(
            f'out_indices must be in [{-num_stages}, {num_stages - 1}], got {out_indices}'
        )
    resolved = tuple(i % num_stages for i in indices)
    if not resolved or list(resolved) != sorted(set(resolved)):
        raise ValueError(
            f'out_indices must name at least one stage, each once and in ascending order, '
            f'got {out_indices}'
        )
    return resolved


def resolve_arch(
    arch: str | dict,
    known: Mapping[str, dict],
    required: Sequence[str] = ('embed_dims', 'depths'),
    optional: Sequence[str] = (),
) -> dict:
    """Check ``arch`` and return its settings.

    Args:
        arch (str | dict): Name of a known architecture, or settings of a new one.
        known (Mapping[str, dict]): Settings of the known architectures by name.
        required (Sequence[str]): Settings that a dict needs; ``embed_dims`` and ``depths`` among
            them. Defaults to those two.
        optional (Sequence[str]): Settings that a dict may have. Defaults to none.

    Returns:
        dict: Settings, ``embed_dims`` and ``depths`` as tuples of the same length.

    Raises:
        ValueError: If the name or a setting is unknown, one is missing, or lengths differ.
    """
    if isinstance(arch, str):
        if arch not in known:
            raise ValueError(f'arch must be one of {list(known)}, got {arch!r}')
        return known[arch]
    missing, unknown = set(required) - set(arch), set(arch) - {*required, *optional}
    if missing or unknown:
        raise ValueError(
            f'an arch dict needs {", ".join(required)} and may have {list(optional)}; '
            f'missing {sorted(missing)}, unknown {sorted(unknown)}'
        )
    for name in ('embed_dims', 'depths'):
        if not are_whole(arch[name]):
            raise ValueError(f'{name} of arch must be whole numbers, got {arch[name]!r}')
    pair = {
        name: (value,) if isinstance(value, int) else tuple(value)
        for name, value in arch.items()
        if name in ('embed_dims', 'depths')
    }
    if not pair['depths'] or len(pair['embed_dims']) != len(pair['depths']):
        raise ValueError(
            f'embed_dims and depths of arch must have the same length, got '
            f'{pair["embed_dims"]} and {pair["depths"]}'
        )
    return {**arch, **pair}


def to_pair(img_size: int | tuple[int, int]) -> tuple[int, int]:
    """``(height, width)`` in pixels from one or two positive integers, or a ``ValueError``."""
    pair = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f'img_size must be one or two positive integers, got {img_size}')
    return pair[0], pair[1]
