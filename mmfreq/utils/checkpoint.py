"""Reading checkpoint files, which are not trusted: nothing in a file is ever executed."""

import hashlib
import io
import json
import logging
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmfreq.utils.atomic import atomic_write
from mmfreq.utils.download import check_hash, local_path
from mmfreq.utils.names import enumerate_names
from mmfreq.utils.untrusted import allowed_types, check_archive, check_tensors, offending_names

__all__ = [
    'check_finite',
    'find_state_dict',
    'find_weights',
    'read_checkpoint',
    'trust_checkpoints',
    'write_weights',
]

AVERAGE = 'model_ema'  # what timm's scripts call an average of the weights
NESTING = ('state_dict', 'model', 'model_state_dict', 'module', AVERAGE)
PREFIXES = ('module.', 'backbone.')

_trusted = False


def trust_checkpoints() -> None:
    """Let this process load files with any objects, which can run code (``--trust-checkpoint``).

    Text of a config in a file is not executed even then.
    """
    global _trusted
    _trusted = True


def read_checkpoint(source: str | Path, map_location: Any = 'cpu') -> Any:
    """Read a checkpoint file without executing anything in it.

    It is read with ``weights_only=True`` and a short list of further types, see
    :func:`mmfreq.utils.untrusted.allowed_types`; safetensors files are read by their own library.
    Checksums inside the file, and the hash in a name such as ``gfnet-1a2b3c4d.pth``, are compared.

    Args:
        source (str | Path): A path, an http(s) address, or the name of torchvision's weights, as in
            ``torchvision://resnet50``. A download is kept in the folder of ``torch.hub``.
        map_location (Any): As in ``torch.load``. Defaults to ``'cpu'``.

    Returns:
        Any: Content of the file.

    Raises:
        ConnectionError: If the download fails.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or holds objects of other types; they are named.
    """
    path = local_path(str(source))
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist or is not a file')
    check_hash(path)
    try:
        check_archive(path)
        content = _load(path, map_location)
        check_tensors(content, path)
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(path)) from error
    except Exception as error:  # whatever a damaged file leads to
        raise ValueError(
            f'checkpoint {path} cannot be read: it is truncated, damaged or not a PyTorch '
            f'checkpoint; get it again ({type(error).__name__}: {" ".join(str(error).split())})'
        ) from error
    return content


def _load(path: Path, map_location: Any) -> Any:
    if path.suffix == '.safetensors':
        device = map_location if isinstance(map_location, (str, torch.device)) else 'cpu'
        return safetensors.torch.load_file(path, device=str(device))
    if _trusted:
        print_log(f'{path} is trusted: whatever it holds is run', 'current', logging.WARNING)
        return torch.load(path, map_location=map_location, weights_only=False)
    with torch.serialization.safe_globals(allowed_types()):
        return torch.load(path, map_location=map_location, weights_only=True)


def find_weights(checkpoint: Any, source: str | Path) -> dict[str, Tensor]:
    """Find the weights in a checkpoint, whatever they are nested in.

    Args:
        checkpoint (Any): Content of a checkpoint file.
        source (str | Path): Its name, for messages.

    Returns:
        dict[str, Tensor]: All weights, by the names that they have in the file.

    Raises:
        ValueError: If there are no named tensors, or one of them holds NaN or infinity.
    """
    state_dict = checkpoint
    for key in NESTING:
        if isinstance(state_dict, Mapping) and isinstance(state_dict.get(key), Mapping):
            state_dict = state_dict[key]
    tensors: dict[str, Tensor] = {}
    if isinstance(state_dict, Mapping):
        tensors = OrderedDict((str(k), v) for k, v in state_dict.items() if isinstance(v, Tensor))
        if hasattr(state_dict, '_metadata'):  # versions of modules, which some rename tensors by
            tensors._metadata = state_dict._metadata  # type: ignore[attr-defined]
    if not tensors:
        raise ValueError(
            f'checkpoint {source} holds no weights: expected tensors by name, at the top or under '
            f'one of {NESTING}'
        )
    check_finite(tensors, source)
    return tensors


def find_state_dict(
    checkpoint: Any, source: str | Path, prefix: str | None = None
) -> dict[str, Tensor]:
    """Find a backbone's weights in a checkpoint.

    Args:
        checkpoint (Any): Content of a checkpoint file.
        source (str | Path): Its name, for messages.
        prefix (str, optional): Beginning of the names of the wanted weights, with or without the
            last dot, or what they are nested in, such as ``'model_ema'``. Defaults to None: what
            wrappers and the detectors and segmentors around a backbone add, ``module.`` and
            ``backbone.``, if there are such names.

    Returns:
        dict[str, Tensor]: The weights with the prefix, by their names without it.

    Raises:
        ValueError: As in :func:`find_weights`, or if no name has the given prefix.
    """
    nested = checkpoint.get(prefix) if isinstance(checkpoint, Mapping) else None
    if isinstance(nested, Mapping):
        checkpoint, prefix = nested, None
    elif isinstance(checkpoint, Mapping) and {'model', AVERAGE} <= checkpoint.keys():
        print_log(
            f"{source} has an average of the weights, too: prefix='{AVERAGE}' of init_cfg uses it",
            logger='current',
        )
    tensors = find_weights(checkpoint, source)
    if prefix is not None:
        found = _below(prefix.removesuffix('.') + '.', tensors)
        if not found:
            raise ValueError(
                f'checkpoint {source} has no names with the prefix {prefix}; it has '
                f'{enumerate_names(_prefixes(tensors), most=20) or "none"}'
            )
        return found
    for usual in PREFIXES:
        tensors = _below(usual, tensors) or tensors
    return tensors


def write_weights(
    weights: Mapping[str, Tensor],
    folder: str | Path,
    name: str,
    suffix: str = '.pth',
    dataset_meta: Mapping[str, Any] | None = None,
) -> Path:
    """Write weights into a file whose name ends with its hash.

    Args:
        weights (Mapping[str, Tensor]): Weights by name.
        folder (str | Path): Folder for the file, created if it does not exist.
        name (str): Name of the file without the hash.
        suffix (str): ``'.pth'``, which holds them under ``'state_dict'``, or ``'.safetensors'``.
        dataset_meta (Mapping[str, Any], optional): Plain data about the data set, such as classes,
            stored where the inference functions of mmseg, mmdet and mmpretrain look for them.
            Defaults to None: nothing is stored.

    Returns:
        Path: The file, ``NAME-<first eight digits of its SHA-256><suffix>``.
    """
    plain = OrderedDict(
        (key, tensor.detach().cpu().contiguous().clone()) for key, tensor in weights.items()
    )
    if hasattr(weights, '_metadata'):
        plain._metadata = weights._metadata  # type: ignore[attr-defined]
    if suffix == '.safetensors':
        texts = {'dataset_meta': json.dumps(dict(dataset_meta))} if dataset_meta else None
        content = safetensors.torch.save(plain, texts)
    else:
        stored: dict[str, Any] = {'state_dict': plain}
        if dataset_meta is not None:  # mmseg needs meta even where it is empty
            stored['meta'] = {'dataset_meta': dict(dataset_meta)} if dataset_meta else {}
        buffer = io.BytesIO()
        torch.save(stored, buffer)
        content = buffer.getvalue()
    path = Path(folder) / f'{name}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}'
    with atomic_write(path) as file:
        file.write(content)
    return path


def check_finite(tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Raise a ``ValueError`` that names ``source`` and the first tensors with NaN or infinity."""
    broken = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(
            f'checkpoint {source} has NaN or infinite values in {enumerate_names(broken)}; '
            'its training diverged, use an earlier checkpoint'
        )


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those with a prefix, by their names without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """First parts of names, and what leads to backbones."""
    found = (
        re.match(pattern, name) for pattern in (r'[^.]+\.', r'.*\bbackbone\.') for name in tensors
    )
    return sorted({match[0] for match in found if match})


def _refusal(path: Path) -> str:
    found = offending_names(path)
    if not found:
        return (
            f'checkpoint {path} is refused: it is damaged or holds more than tensors and plain '
            'data; get it again, or save its weights alone'
        )
    return (
        f'checkpoint {path} is refused: besides weights it holds {enumerate_names(found)}, and '
        'loading such objects can run code. If you trust its author, use --trust-checkpoint, or '
        'load it yourself and save its weights alone (torch.save(checkpoint["model"], ...))'
    )
