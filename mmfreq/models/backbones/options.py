"""Arguments that backbones have in common: declared and documented here, shown by each of them."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, get_args

from typing_extensions import TypedDict, is_typeddict

from mmfreq.utils.names import nearest

__all__ = [
    'OF_FILTERS',
    'BackboneOptions',
    'ResizableOptions',
    'are_whole',
    'check_names',
    'check_types',
    'show_options',
]

# Of arguments that some backbones have, and others had without an effect.
OF_FILTERS = ': it has no filters of a size, and takes any; leave it out'


class BackboneOptions(TypedDict, total=False):
    """Arguments of every backbone.

    Args:
        out_indices (int | Sequence[int], optional): Stages whose features are returned; what only
            later stages need is not built. Defaults to None: all four, or of networks with more
            stages the ends of four groups of them.
        in_channels (int): Channels of images; pretrained RGB weights are adapted. Defaults to 3.
        drop_path_rate (float): Drop-path probability of the last block; it grows linearly from 0
            at the first one. Defaults to 0.
        frozen_stages (int): -1 freezes nothing, 0 the stem, ``n`` also the first ``n`` stages.
            Defaults to -1.
        with_cp (bool): Recompute blocks in the backward pass to save memory. Defaults to False.
        norm_eval (bool): Keep batch norms in eval mode while training. Defaults to False.
        out_norm (dict, optional): Config of the norm of each output, ``dict(type='LN')``,
            ``dict(type='SyncBN')`` and so on; None returns raw features. Defaults to a layer norm
            with eps 1e-6.
        backend (str): What computes spectral operations: ``'auto'``, ``'fft'``, ``'gemm'``,
            ``'mixed'`` or ``'triton'``, see :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.
        init_cfg (dict | list[dict], optional): Initialisation, as in MMEngine.
            ``dict(type='Pretrained', checkpoint=...)`` takes checkpoints of this library, and the
            files of others that the backbone names, as they are. Defaults to None: the
            initialisation of the original.
    """

    out_indices: int | Sequence[int] | None
    in_channels: int
    drop_path_rate: float
    frozen_stages: int
    with_cp: bool
    norm_eval: bool
    out_norm: dict | None
    backend: str
    init_cfg: dict | list[dict] | None


class ResizableOptions(BackboneOptions, total=False):
    """Arguments of backbones with parameters whose size follows the size of images.

    Args:
        img_size (int | tuple[int, int]): Image size, in pixels, that filters and positions are
            stored for; the crop size of the training is a good choice. Images of other sizes work.
            Defaults to 224.
        resize_mode (str, optional): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            ``'interpolate'`` is faithful to the originals, ``'kernel'`` is correct. Defaults to
            None: ``'interpolate'`` once a released checkpoint was loaded, ``'kernel'`` otherwise.
            That choice is stored in the ``state_dict``; an explicit one always wins.
    """

    img_size: int | tuple[int, int]
    resize_mode: str | None


def check_names(backbone: type, given: Iterable[str]) -> None:
    """Check names of arguments before constructors hand them on to one another.

    Args:
        backbone (type): Class with a signature from :func:`show_options`.
        given (Iterable[str]): Names of arguments.

    Raises:
        TypeError: If there is no such argument; the message has the nearest names, or the fix.
    """
    parameters = inspect.signature(backbone).parameters
    if any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
        return
    for name in given:
        if name not in parameters:
            sizes = ResizableOptions.__annotations__.keys() - BackboneOptions.__annotations__.keys()
            hint = OF_FILTERS if name in sizes else nearest(name, [*parameters])
            raise TypeError(
                f'{backbone.__name__}() got an unexpected keyword argument {name!r}{hint}'
            )


def check_types(given: Mapping[str, Any]) -> None:
    """Check the types of common arguments, before something else fails over them.

    Args:
        given (Mapping[str, Any]): Arguments by name; others than the common ones are not looked at.

    Raises:
        ValueError: If one has another type; the message names it.
    """
    for name, (fits, what) in _TYPES.items():
        if name in given and not fits(given[name]):
            raise ValueError(f'{name} must be {what}, got {given[name]!r}')


def are_whole(value: Any) -> bool:
    """Whether a value is a whole number, or a sequence of such."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(_is_whole(item) for item in value)
    return _is_whole(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = dict(
    out_indices=(lambda value: value is None or are_whole(value), 'whole numbers or None'),
    in_channels=(_is_whole, 'a whole number'),
    drop_path_rate=(lambda value: isinstance(value, Real), 'a number'),
    frozen_stages=(_is_whole, 'a whole number'),
    with_cp=(lambda value: isinstance(value, bool), 'True or False'),
    norm_eval=(lambda value: isinstance(value, bool), 'True or False'),
    out_norm=(
        lambda value: value is None or isinstance(value, Mapping),
        "a dict such as dict(type='LN'), or None",
    ),
    img_size=(are_whole, 'one or two whole numbers'),
)


def show_options(backbone: type) -> None:
    """Let signature and docstring of a class name each argument behind its ``**options``.

    Args:
        backbone (type): Class whose ``__init__`` ends with ``**options: Unpack[...]``, also as a
            string, of one of the above, and whose ``default_options`` are the defaults that differ
            from those of the constructors of its bases. One with another ``__init__`` shows what
            that takes, and one without shows what its base does.
    """
    constructor = vars(backbone).get('__init__')
    if constructor is None:
        return
    own = dict(inspect.signature(constructor).parameters)
    own.pop('self', None)
    declared = _declared(constructor)
    if declared is None:  # else it would inherit what its base shows
        backbone.__signature__ = inspect.Signature(list(own.values()))  # type: ignore[attr-defined]
        return
    del own['options']
    different: dict = backbone.default_options  # type: ignore[attr-defined]
    defaults = {**dict(_defaults(backbone)), **different}
    keyword = inspect.Parameter.KEYWORD_ONLY
    shown = [
        inspect.Parameter(name, keyword, default=defaults[name], annotation=kind)
        for name, kind in declared.__annotations__.items()
    ]
    backbone.__signature__ = inspect.Signature([*own.values(), *shown])  # type: ignore[attr-defined]
    texts = _texts(declared)
    for name, value in different.items() if texts else ():
        texts[name] = re.sub(
            r'Defaults\s+to .*', f'Defaults to {value} here.\n', texts[name], flags=re.DOTALL
        )
    if backbone.__doc__ and texts:
        described = ''.join(texts[item.name] for item in shown)
        backbone.__doc__ = re.sub(
            r' +\*\*options: .*\n', lambda _: described, backbone.__doc__, count=1
        )


def _declared(constructor: Any) -> type | None:
    """The declaration behind a constructor's ``**options``; None if it has none."""
    options = inspect.signature(constructor).parameters.get('options')
    kind = None if options is None else options.annotation
    if isinstance(kind, str):  # by ``from __future__ import annotations``
        try:
            kind = eval(kind, constructor.__globals__)
        except NameError:  # imported for type checkers only
            return None
    return next(filter(is_typeddict, get_args(kind)), None)


def _defaults(backbone: type) -> Iterator[tuple[str, object]]:
    """Defaults of the constructors' arguments, those of derived classes last."""
    for base in reversed(backbone.__mro__):
        constructor = vars(base).get('__init__')
        if inspect.isfunction(constructor):
            for name, parameter in inspect.signature(constructor).parameters.items():
                if parameter.default is not inspect.Parameter.empty:
                    yield name, parameter.default


def _texts(declared: type) -> dict[str, str]:
    """Description of each argument, as its lines in a docstring; nothing without docstrings."""
    texts = {}
    for base in getattr(declared, '__orig_bases__', ()):
        if base is not TypedDict:
            texts.update(_texts(base))
    described = textwrap.dedent((declared.__doc__ or '').partition('Args:\n')[2])
    for entry in re.findall(r'^\w.*\n(?:[ ].*\n)*', described, re.MULTILINE):
        texts[entry.split()[0]] = textwrap.indent(entry, ' ' * 8)
    return texts
