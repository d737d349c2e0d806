"""Reading checkpoint files, which are not trusted: nothing in a file is ever executed."""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

__all__ = [
    'CheckpointError',
    'check_finite',
    'enumerate_names',
    'find_state_dict',
    'read_checkpoint',
]

NESTING = ('state_dict', 'model', 'model_state_dict', 'module')
PREFIXES = ('module.', 'backbone.')


class CheckpointError(ValueError):
    """A checkpoint does not belong to the network that it is loaded into."""


def read_checkpoint(source: str | Path, map_location: Any = 'cpu') -> Any:
    """Read a checkpoint file with ``weights_only=True``.

    Besides tensors and plain containers, ``argparse.Namespace`` (released checkpoints hold their
    training arguments) and the log buffers and numpy scalars of MMEngine's checkpoints are
    accepted.

    Args:
        source (str | Path): A path, an http(s) address, or the name of torchvision's weights, as in
            ``torchvision://resnet50``. A download is kept in the folder of ``torch.hub`` and
            checked when its name carries a hash, as in ``gfnet-1a2b3c4d.pth``.
        map_location (Any): As in ``torch.load``. Defaults to ``'cpu'``.

    Returns:
        Any: Content of the file.

    Raises:
        ConnectionError: If the download fails.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or holds objects of other types; they are named.
    """
    path = _local_path(str(source))
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist or is not a file')
    with torch.serialization.safe_globals(_allowed_types()):
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(_refusal(path)) from error
        except (RuntimeError, EOFError, OSError, KeyError, ValueError, IndexError) as error:
            raise ValueError(
                f'checkpoint {path} cannot be read: it is truncated, damaged or not a PyTorch '
                f'checkpoint; get it again ({type(error).__name__}: {" ".join(str(error).split())})'
            ) from error


def find_state_dict(checkpoint: Any, source: str | Path) -> dict[str, Tensor]:
    """Find the weights in a checkpoint, whatever they are nested in.

    Args:
        checkpoint (Any): Content of a checkpoint file.
        source (str | Path): Its name, for messages.

    Returns:
        dict[str, Tensor]: Weights by name, without the prefixes that wrappers and the detectors and
        segmentors around a backbone add. If there are names with ``backbone.``, only those.

    Raises:
        ValueError: If there are no named tensors, or one of them holds NaN or infinity.
    """
    state_dict = checkpoint
    for key in NESTING:
        if isinstance(state_dict, Mapping) and isinstance(state_dict.get(key), Mapping):
            state_dict = state_dict[key]
    tensors: dict[str, Tensor] = {}
    if isinstance(state_dict, Mapping):
        tensors = {str(k): v for k, v in state_dict.items() if isinstance(v, Tensor)}
    if not tensors:
        raise ValueError(
            f'checkpoint {source} holds no weights: expected tensors by name, at the top or under '
            f'one of {NESTING}'
        )
    check_finite(tensors, source)
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in tensors):
            tensors = {
                name.removeprefix(prefix): tensor
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
    return tensors


def check_finite(tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Raise a ``ValueError`` that names ``source`` and the first tensors with NaN or infinity."""
    broken = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(
            f'checkpoint {source} has NaN or infinite values in {enumerate_names(broken)}; '
            'its training diverged, use an earlier checkpoint'
        )


def enumerate_names(names: list[str], most: int = 5) -> str:
    """Join names for a message, the first few and a count of the others."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def _allowed_types() -> list[Any]:
    import numpy as np
    from mmengine.logging import HistoryBuffer

    def history_method(owner: object, name: str) -> Any:
        # Stands in for getattr, by which a pickled log buffer names its own methods.
        if owner is not HistoryBuffer or name.startswith('_'):
            raise pickle.UnpicklingError(f'attribute {name} of {owner} is not allowed')
        return getattr(HistoryBuffer, name)

    # MMEngine stores its log history and a few numpy values beside the weights.
    dtypes = [type(np.dtype(t)) for t in (np.float32, np.float64, np.int32, np.int64, np.uint32)]
    rebuilders: list[Any] = [np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    renamed = [(f, f'numpy.core.multiarray.{f.__name__}') for f in rebuilders]  # of numpy 1
    stand_ins = [(history_method, 'builtins.getattr'), *renamed]
    plain = [argparse.Namespace, HistoryBuffer, np.ndarray, np.dtype]
    return [*plain, *rebuilders, *dtypes, *stand_ins]


def _refusal(path: Path) -> str:
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, pickle.UnpicklingError):  # not a zip file, or a broken one
        found = []
    if not found:
        return (
            f'checkpoint {path} is refused: it is damaged or holds more than tensors and plain '
            'data; get it again, or save its weights alone'
        )
    return (
        f'checkpoint {path} is refused: besides weights it holds {enumerate_names(sorted(found))}, '
        'and loading such objects can run code. If you trust its author, load it yourself, save '
        'its weights alone (torch.save(checkpoint["model"], ...)) and use that file'
    )


def _local_path(source: str) -> Path:
    """Path of a file, which is downloaded first if ``source`` is an address."""
    scheme = urlparse(source).scheme
    if scheme == 'torchvision':
        from mmengine.runner.checkpoint import get_torchvision_models

        known, name = get_torchvision_models(), source.removeprefix('torchvision://')
        if name not in known:
            raise ValueError(f'torchvision has no weights named {name!r}')
        return _download(known[name])
    return _download(source) if scheme in ('http', 'https') else Path(source)


def _download(url: str) -> Path:
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        digest = torch.hub.HASH_REGEX.search(path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), digest.group(1) if digest else None)
        except (OSError, RuntimeError) as error:  # no network, or another file than the hash says
            raise ConnectionError(f'cannot download {url}: {error}') from error
    return path
