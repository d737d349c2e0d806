"""Loading pretrained weights into a backbone, with a report and without silent gaps."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mmengine.logging import print_log
from torch import Tensor, nn

from mmfreq.utils.checkpoint import find_state_dict, read_checkpoint
from mmfreq.utils.errors import CheckpointError
from mmfreq.utils.names import enumerate_names

__all__ = [
    'Adaptable',
    'Coverage',
    'is_pretrained',
    'load_available',
    'load_init_cfg',
    'load_pretrained',
    'load_whole',
    'rename',
    'stored_choice',
    'without_wrapper',
]


class Adaptable(Protocol):
    """What a backbone offers to accept checkpoints of other layouts or sizes.

    Attributes:
        optional_in_checkpoint (str): Regular expression of the names that a checkpoint may lack.
        stem_weight (str): Name of the weight, ``(C, in_channels, h, w)``, that images meet.
    """

    optional_in_checkpoint: str
    stem_weight: str

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rename and resize a file's tensors; unknown ones are kept as they are.

        Args:
            state_dict (dict[str, Tensor]): Tensors of the file by name.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Tensors by this network's names, and the names of
            those that were resized.

        Raises:
            ValueError: If a tensor cannot be fitted; the message names it.
        """

    def state_dict(self) -> dict[str, Any]:
        """As in ``nn.Module``."""

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> Any:
        """As in ``nn.Module``."""


class Coverage(NamedTuple):
    """Names of tensors by what became of them when a checkpoint was loaded.

    Attributes:
        loaded (list[str]): In the file and in the network, the resized ones among them.
        resized (list[str]): Loaded after a change of shape, for the size or channels of images.
        dropped (list[str]): In the file only.
        missing (list[str]): In the network only; they keep their initial values.
    """

    loaded: list[str]
    resized: list[str]
    dropped: list[str]
    missing: list[str]


def load_pretrained(
    model: Adaptable, source: str, prefix: str | None = None, map_location: Any = 'cpu'
) -> Coverage:
    """Load a checkpoint into a backbone and log what was loaded, resized, dropped and missing.

    Args:
        model (Adaptable): A backbone.
        source (str): Path or address, see :func:`mmfreq.utils.read_checkpoint`.
        prefix (str, optional): Use only tensors whose names begin with it, such as
            ``'teacher.backbone'``. Defaults to None: see :func:`mmfreq.utils.find_state_dict`.
        map_location (Any): As in ``torch.load``. Defaults to ``'cpu'``.

    Returns:
        Coverage: What was logged.

    Raises:
        ConnectionError: If the file cannot be downloaded.
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file does not hold the whole backbone, or another one.
        ValueError: If the file cannot be read or holds NaN.
    """
    name = type(model).__name__
    found = find_state_dict(read_checkpoint(source, map_location), source, prefix)
    own, stem = model.state_dict(), model.stem_weight
    channels = own[stem].shape[1]
    try:
        adapted, resized = model.adapt_checkpoint(found)
        has_other_channels = _differ_in_channels(adapted.get(stem), own[stem])
        if has_other_channels:
            adapted = {**adapted, stem: _adapt_channels(adapted[stem], channels)}
    except ValueError as error:
        raise CheckpointError(f'checkpoint {source} does not fit this {name}: {error}') from error

    loaded = {key: tensor for key, tensor in adapted.items() if key in own}
    missing = [key for key in own if key not in loaded]
    lacking = [key for key in missing if not re.match(model.optional_in_checkpoint, key)]
    if lacking:
        raise CheckpointError(
            f'checkpoint {source} does not hold the whole {name}: {len(loaded)} of {len(own)} '
            f'tensors found, missing {enumerate_names(lacking)}; check that it is a checkpoint of '
            'this network and arch, and set prefix in init_cfg if it is one of a larger model'
        )
    misfits = [
        f'{key} {tuple(tensor.shape)} instead of {tuple(own[key].shape)}'
        for key, tensor in loaded.items()
        if tensor.shape != own[key].shape
    ]
    if misfits:
        raise CheckpointError(
            f'checkpoint {source} belongs to another arch than this {name}: '
            f'{enumerate_names(misfits)}'
        )
    model.load_state_dict(loaded, strict=False)

    dropped = [key for key in adapted if key not in own]
    lines = [f'{name}: loaded {len(loaded)} of {len(own)} tensors from {source}']
    for what, keys in (('resized', resized), ('dropped', dropped), ('missing', missing)):
        if keys:
            lines.append(f'  {what} {len(keys)}: {enumerate_names(keys)}')
    if has_other_channels:
        lines.append(f'  adapted to {channels} input channels: {stem}')
        resized = [stem, *resized]
    print_log('\n'.join(lines), logger='current')
    return Coverage(list(loaded), resized, dropped, missing)


def load_whole(
    model: nn.Module,
    tensors: dict[str, Tensor],
    source: str,
    name: str,
    same_sizes: bool = False,
) -> None:
    """Load the weights of a whole model of any library.

    Args:
        model (nn.Module): The model.
        tensors (dict[str, Tensor]): Weights by name. Those that the model does not have are logged.
        source (str): Name of the file, for messages.
        name (str): Name of the model, likewise.
        same_sizes (bool): Whether all tensors must have the shapes that they have in the model,
            as the state of an optimiser needs it. Defaults to False: what a network adapts when it
            is loaded may differ.

    Raises:
        CheckpointError: If a parameter or a batch norm's statistic is missing or has another shape;
            the first are named.
    """
    own, parameters = model.state_dict(), dict(model.named_parameters())
    tensors, _ = _from_released(model, without_wrapper(tensors), source)
    wrong = [
        key
        for key, tensor in tensors.items()
        if same_sizes and key in own and own[key].shape != tensor.shape
    ]
    unused: list[str] = []
    try:
        missing, unused = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # lists the tensors whose shapes differ
        wrong += re.findall(r'size mismatch for (\S+):', str(error)) or [str(error)]
        missing = [key for key in own if key not in tensors]
    statistics = ('running_mean', 'running_var')
    minor = [key for key in missing if key not in parameters and not key.endswith(statistics)]
    missing = [key for key in missing if key not in minor]
    if wrong or missing:
        parts = [
            f'{what} {enumerate_names(keys)}'
            for what, keys in (('missing', missing), ('of another shape', wrong))
            if keys
        ]
        raise CheckpointError(
            f'checkpoint {source} does not fit {name}: '
            f'{len(set(own) & set(tensors))} of {len(own)} names found, {"; ".join(parts)}; check '
            'that it belongs to this network or config'
        )
    for what, keys in (('not used of', unused), ('not in', minor)):
        keys = [key for key in keys if not key.endswith('num_batches_tracked')]
        if keys:
            print_log(f'{what} {source}: {enumerate_names(keys)}', 'current')


def load_available(model: nn.Module, tensors: dict[str, Tensor], source: str) -> Coverage:
    """Load what a file has of a whole model, such as a dense model of a backbone's authors.

    Args:
        model (nn.Module): The model, with a backbone of this library.
        tensors (dict[str, Tensor]): Weights by name.
        source (str): Name of the file, for messages.

    Returns:
        Coverage: What became of each tensor; those of another shape count as dropped and missing.

    Raises:
        CheckpointError: If a tensor of the backbone is missing or has another shape.
    """
    own = model.state_dict()
    adapted, resized = _from_released(model, without_wrapper(tensors), source)
    loaded = {
        key: tensor
        for key, tensor in adapted.items()
        if key in own and tensor.shape == own[key].shape
    }
    missing = [key for key in own if key not in loaded]
    lacking = [key for key in missing if key.startswith('backbone.')]
    if lacking:
        raise CheckpointError(
            f'checkpoint {source} does not hold the backbone of this model: missing or of another '
            f'shape {enumerate_names(lacking)}; check that it belongs to this network and arch'
        )
    model.load_state_dict(loaded, strict=False)
    return Coverage(list(loaded), resized, [key for key in adapted if key not in loaded], missing)


def _from_released(
    model: nn.Module, tensors: dict[str, Tensor], source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors by the model's names if its authors released the file, and the resized ones.

    Heads of dense models have the same names there, those of classifiers know them.
    """
    backbone: Any = getattr(model, 'backbone', None)
    head: Any = getattr(model, 'head', None)
    of_backbone = {
        key.removeprefix('backbone.'): tensor
        for key, tensor in tensors.items()
        if key.startswith('backbone.')
    }
    try:
        if of_backbone:
            if getattr(backbone, 'from_released', lambda _: None)(of_backbone) is None:
                return tensors, []
            adapted, resized = backbone.adapt_checkpoint(of_backbone)
            others = {k: v for k, v in tensors.items() if not k.startswith('backbone.')}
            renamed = {f'backbone.{key}': tensor for key, tensor in adapted.items()}
            return {**renamed, **others}, [f'backbone.{key}' for key in resized]
        if not (hasattr(head, 'released_names') and hasattr(backbone, 'adapt_checkpoint')):
            return tensors, []
        adapted, resized = backbone.adapt_checkpoint(tensors)
    except ValueError as error:
        raise CheckpointError(f'checkpoint {source} does not fit this model: {error}') from error
    names, names_of_head = backbone.state_dict(), head.state_dict()
    found = {f'backbone.{key}': adapted.pop(key) for key in list(adapted) if key in names}
    for key, tensor in rename(adapted, head.released_names).items():
        found[f'head.{key}' if key in names_of_head else key] = tensor
    return found, [f'backbone.{key}' for key in resized]


def without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that they have inside of a wrapper for several processes.

    Args:
        tensors (dict[str, Tensor]): Tensors by name.

    Returns:
        dict[str, Tensor]: The same if no name begins with ``'module.'``.
    """
    if not any(name.startswith('module.') for name in tensors):
        return tensors
    return {name.removeprefix('module.'): tensor for name, tensor in tensors.items()}


def is_pretrained(init_cfg: dict[str, Any]) -> bool:
    """Whether an entry of ``init_cfg`` is one for MMEngine's ``PretrainedInit``.

    Args:
        init_cfg (dict): The entry. Its ``type`` is a class or a name, with or without scope.

    Returns:
        bool: Whether it names a checkpoint.
    """
    kind = init_cfg.get('type')
    return getattr(kind, '__name__', str(kind)).split('.')[-1] in ('Pretrained', 'PretrainedInit')


def load_init_cfg(model: Adaptable, init_cfg: dict[str, Any]) -> Coverage:
    """Load the checkpoint that an entry of ``init_cfg`` names, see :func:`load_pretrained`.

    Args:
        model (Adaptable): A backbone.
        init_cfg (dict): The entry, with ``checkpoint`` and, as in MMEngine, optionally ``prefix``
            and ``map_location``.

    Returns:
        Coverage: What was logged.

    Raises:
        ConnectionError, FileNotFoundError, ValueError: As in :func:`load_pretrained`, and if the
            entry has no checkpoint or unknown keys.
    """
    unknown = sorted(set(init_cfg) - {'type', 'checkpoint', 'prefix', 'map_location'})
    if unknown or not init_cfg.get('checkpoint'):
        raise ValueError(
            'init_cfg of type Pretrained takes checkpoint, prefix and map_location; '
            + (f'{", ".join(unknown)} is unknown' if unknown else 'checkpoint is missing')
        )
    return load_pretrained(
        model,
        init_cfg['checkpoint'],
        init_cfg.get('prefix'),
        init_cfg.get('map_location', 'cpu'),
    )


def rename(state_dict: dict[str, Tensor], renaming: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Rename tensors: every pattern that is found in a name is replaced, one after the other.

    Args:
        state_dict (dict[str, Tensor]): Tensors by name.
        renaming (Sequence[tuple[str, str]]): Regular expressions and their replacements.

    Returns:
        dict[str, Tensor]: The same tensors by their new names.
    """
    renamed = {}
    for name, tensor in state_dict.items():
        for pattern, replacement in renaming:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def stored_choice(index: Tensor, options: Sequence[str], name: str) -> str:
    """Look up a choice that a ``state_dict`` stores as a number.

    Args:
        index (Tensor): The stored number; not trusted.
        options (Sequence[str]): What can be chosen.
        name (str): Name of the stored tensor, for the message.

    Returns:
        str: One of ``options``.

    Raises:
        ValueError: If ``index`` is not one number below the number of options.
    """
    if index.numel() != 1 or not 0 <= int(index) < len(options):
        raise ValueError(f'{name} must be one number below {len(options)}')
    return options[int(index)]


def _differ_in_channels(weight: Tensor | None, own: Tensor) -> bool:
    """Whether two weights of convolutions have the same shape but for their input channels."""
    if weight is None or weight.ndim != own.ndim or weight.shape[1] == own.shape[1]:
        return False
    return weight.shape[:1] + weight.shape[2:] == own.shape[:1] + own.shape[2:]


def _adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """Let a convolution on RGB images take others, which keeps the scale of its output.

    As in timm: one channel meets the sum of the colours' kernels, others meet them in turn.
    """
    if weight.shape[1] != 3:
        raise ValueError(
            f'it is for images of {weight.shape[1]} channels, not {channels}, and only weights for '
            f'RGB images are adapted; set in_channels={weight.shape[1]}'
        )
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = -(-channels // 3)
    return weight.repeat(1, turns, 1, 1)[:, :channels] * (3 / channels)
