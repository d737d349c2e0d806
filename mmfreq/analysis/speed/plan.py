"""Which networks a benchmark compares in which settings, and measuring what is missing."""

import itertools
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

import torch
from tqdm import tqdm

from mmfreq.analysis.speed.benchmark import Case, measure_group
from mmfreq.analysis.speed.results import ResultFile, describe_machine
from mmfreq.analysis.speed.runtimes import RUNTIMES, check_runtime
from mmfreq.analysis.speed.workloads import VARIANTS, load_source, source_of
from mmfreq.utils.config_files import is_config, read_model_config
from mmfreq.zoo import backbone_config

__all__ = ['PRESETS', 'RIVALS', 'Choice', 'measure_missing', 'plan']

ORIGINALS = ('gfnet-h-s', 'dfformer-s18', 'affnet-base')
RIVALS = ('convnext-t', 'swin-t')
SIDES = (224, 384, 512, 768, 1024, 1536)
AWKWARD = ((800, 1344), (796, 1332))  # maps of 200 x 336 and 199 x 333 at stride 4

PRESETS = ('resolution', 'originals')
PRESET_MODELS = ('dfformer-s18', 'cdfformer-s18', 'gfformer-s18', *RIVALS)
PRESET_SIZES = (256, 384, 512, 768, 1024, 1536, 2048)
LARGEST_ON_CPU = 1024


class Choice(NamedTuple):
    """What a user wants to have compared; what is empty is up to the preset, or usual.

    Attributes:
        models (Sequence[str]): Backbones by name, and configs.
        modes (Sequence[str]): ``'inference'`` and ``'training'``.
        variants (Sequence[str]): See :class:`mmfreq.analysis.speed.workloads.Workload`.
        devices (Sequence[str]): ``'cpu'``, ``'cuda:0'``, ...
        sizes (Sequence[str]): Image sizes, such as ``'224'`` or ``'800x1344'``.
        batch_sizes (Sequence[int]): Images per step.
        threads (int): On a CPU.
        preset (str, optional): One of :data:`PRESETS`.
    """

    models: Sequence[str]
    modes: Sequence[str]
    variants: Sequence[str]
    devices: Sequence[str]
    sizes: Sequence[str]
    batch_sizes: Sequence[int]
    threads: int
    preset: str | None


def plan(choice: Choice) -> list[list[Case]]:
    """Groups of networks in the same setting, after checking all that the user names.

    Args:
        choice (Choice): What to compare.

    Returns:
        list[list[Case]]: Cases of each group: all networks of a setting, or, of several variants,
        those of one network.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If what a variant needs is missing; the message names the extra to install.
        ValueError: If something is unknown or not there; the message names it.
    """
    models, sizes = choice.models, choice.sizes or ['224']
    devices = choice.devices or ['cuda:0' if torch.cuda.is_available() else 'cpu']
    if choice.preset == 'resolution':
        models = models or PRESET_MODELS
        on_cpu = any(device == 'cpu' for device in devices)
        known = [n for n in PRESET_SIZES if not on_cpu or n <= LARGEST_ON_CPU]
        sizes = choice.sizes or [str(size) for size in known]
    if choice.preset == 'originals':
        if choice.models or choice.sizes or len(devices) > 1:
            raise ValueError('--preset originals has models and sizes of its own, on one device')
        _check_device(devices[0])
        return _plan_originals(devices[0], choice.threads)
    if not models:
        raise ValueError('name at least one model, for example gfnet-h-ti')
    for model in models:
        source, name = source_of(model)
        if source == 'plain':
            backbone_config(name)
        elif source:
            load_source(source)
        elif is_config(model):
            read_model_config(model)
        else:
            backbone_config(model)
    for variant in choice.variants:
        check_variant(variant)
        if set(variant.split('+')) & set(RUNTIMES):
            _check_alone(variant, choice.modes, devices)
            check_runtime(variant)
    for device in devices:
        _check_device(device)
    if min(choice.batch_sizes) < 1 or choice.threads < 1:
        raise ValueError('--batch-sizes, --turns and --threads take positive numbers')
    shapes = [_as_shape(size) for size in sizes]

    def case(setting: tuple[str, str, tuple[int, int], int], model: str, variant: str) -> Case:
        device, mode, shape, batch_size = setting
        return Case(model, mode, variant, device, *shape, batch_size, choice.threads)

    settings = itertools.product(devices, choice.modes, shapes, choice.batch_sizes)
    if len(choice.variants) == 1:
        return [
            [case(setting, model, choice.variants[0]) for model in models] for setting in settings
        ]
    return [
        [case(setting, model, variant) for variant in choice.variants]
        for setting, model in itertools.product(settings, models)
    ]


def check_variant(variant: str) -> None:
    """Raise a ``ValueError`` that lists the choices if a part of a variant is unknown."""
    if set(variant.split('+')) - set(VARIANTS):
        raise ValueError(f'--variants takes {", ".join(VARIANTS)}, got {variant!r}')


def _check_alone(variant: str, modes: Sequence[str], devices: Sequence[str]) -> None:
    """Raise a ``ValueError`` if a variant is asked for what it cannot do."""
    if variant not in RUNTIMES:
        raise ValueError(f'--variants {variant}: {", ".join(RUNTIMES)} combine with nothing')
    if list(modes) != ['inference'] or any(device != 'cpu' for device in devices):
        raise ValueError(f'--variants {variant} is for --modes inference --devices cpu')


def measure_missing(
    groups: Sequence[Sequence[Case]],
    results: ResultFile,
    turns: int,
    warmup: int,
    minutes: float | None = None,
) -> None:
    """Measure what is missing.

    Args:
        groups (Sequence[Sequence[Case]]): What :func:`plan` returns.
        results (ResultFile): What is there; new results are added at once.
        turns (int): How often each network gets its turn.
        warmup (int): Untimed steps.
        minutes (float, optional): Nothing new is started after so long. Defaults to None: no limit.
    """
    common = dict(torch=torch.__version__, date=date.today().isoformat())
    end = float('inf') if minutes is None else time.monotonic() + 60 * minutes
    missing = {case for group in groups for case in group if not results.is_done(case)}
    with tqdm(total=len(missing), unit='case') as progress:
        for group in groups:
            # What an earlier group has measured stays as it is, with its reference.
            todo = [case for case in group if not results.is_done(case)]
            if not todo or time.monotonic() >= end:
                continue
            case = todo[0]
            setting = f'{case.mode} {case.height}x{case.width} x{case.batch_size}'
            # The reference runs again if others are compared with it.
            cases = [group[0], *(case for case in todo if case != group[0])]
            measured = measure_group(
                cases, turns, warmup, partial(_show_progress, progress, setting)
            )
            common['machine'] = describe_machine(case.device)
            results.add(
                {**row, **common}
                for row in measured
                if Case(*(row[name] for name in Case._fields)) in todo
            )
            progress.update(len(todo))


def _show_progress(bar: tqdm, setting: str, word: str) -> None:
    bar.set_postfix_str(f'{setting}, {word}')


def _plan_originals(device: str, threads: int) -> list[list[Case]]:
    """Groups of networks for the preset ``originals``."""

    def case(
        model: str,
        mode: str,
        variant: str = 'eager',
        shape: tuple[int, int] = (512, 512),
        batch_size: int = 1,
    ) -> Case:
        return Case(model, mode, variant, device, *shape, batch_size, threads)

    pairs = [(f'plain:{name}', name) for name in ORIGINALS]
    groups = [[case(name, 'inference') for name in (*itertools.chain(*pairs), *RIVALS)]]
    # Not all at once: training needs memory for each of them.
    groups += [[case(name, 'training') for name in pair] for pair in pairs]
    groups += [[case(name, 'training') for name in (ORIGINALS[0], ORIGINALS[1], *RIVALS)]]
    if torch.device(device).type == 'cuda':
        groups += [[case(n, 'training', 'amp', batch_size=16) for n in pair] for pair in pairs]
    for name in ORIGINALS[:2]:
        groups += [[case(name, 'inference'), case(name, 'inference', 'amp')]]
        groups += [[case(name, 'inference', shape=(side, side))] for side in SIDES]
        groups += [[case(name, 'inference', shape=shape) for shape in AWKWARD]]
    return groups


def _as_shape(text: str) -> tuple[int, int]:
    """Height and width from ``224`` or ``800x1344``."""
    parts = text.split('x')
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f'--sizes takes sizes such as 224 or 800x1344, got {text!r}')
    return int(parts[0]), int(parts[-1])


def _check_device(name: str) -> None:
    """Raise a ``ValueError`` if there is no such device."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'there is no device {name!r}; use cpu, cuda:0, ...') from error
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ValueError(f'--devices {name}: torch sees {found} GPUs here; use --devices cpu')
