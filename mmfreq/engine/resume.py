"""Which checkpoint an interrupted run goes on from."""

import logging
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmfreq.utils.checkpoint import find_weights, read_checkpoint

__all__ = ['find_checkpoints', 'resume']


def resume(cfg: Config, source: str) -> bool:
    """Make a run go on from a checkpoint.

    Args:
        cfg (Config): Config of the run, changed in place: the checkpoint, and its random seed, on
            which the order of the data depends. With several processes, the first one decides for
            all, so that a shared folder that lags behind does not make them differ.
        source (str): Path of a checkpoint, or ``'auto'`` for the newest whole one of the run's
            folder.

    Returns:
        bool: Whether there is something to go on from.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the named file cannot be resumed from.
    """
    found: list[Any] = [None]
    if is_main_process():
        try:
            found = [_read_seed(Path(source)) if source != 'auto' else _newest(cfg.work_dir)]
        except (FileNotFoundError, ValueError) as error:
            found = [error]  # for all processes
    broadcast_object_list(found)
    if isinstance(found[0], Exception):
        raise found[0]
    if found[0] is None:
        print_log(f'{cfg.work_dir} has no checkpoint: the run starts from the beginning', 'current')
        cfg.resume = False
        return False
    path, seed = found[0]
    print_log(f'going on from {path}', 'current')
    cfg.resume, cfg.load_from = True, path
    cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}
    return True


def _newest(work_dir: str) -> tuple[str, int] | None:
    for path in find_checkpoints(work_dir):
        try:
            return _read_seed(path)
        except (FileNotFoundError, ValueError) as error:
            print_log(f'passed over: {error}', 'current', logging.WARNING)
    return None


def find_checkpoints(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a run, in the order in which a resumed run should try them.

    First those that are newer than the file named in ``last_checkpoint``, which is written after
    each checkpoint; then that one; then older ones. Files with higher numbers that are older than
    ``last_checkpoint`` belong to a former run in the same folder and are left out.

    Args:
        work_dir (str | Path): Folder of the run. It may have been moved.

    Returns:
        list[Path]: Paths; the files may be damaged.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    named = Path(pointer.read_text().strip()) if pointer.is_file() else None
    folders = {Path(work_dir)} | ({named.parent} if named else set())
    found = {
        path.name: path
        for folder in folders
        for path in folder.glob('*.pth')
        if re.fullmatch(r'(epoch|iter)_\d+(_iter_\d+)?', path.stem)
    }
    if named is not None and named.is_file():
        found[named.name] = named
    if named is None:
        return sorted(found.values(), key=_place, reverse=True)
    written = pointer.stat().st_mtime
    mine = [p for p in found.values() if _place(p) <= _place(named) or p.stat().st_mtime > written]
    return sorted(mine, key=_place, reverse=True)


def _place(path: Path) -> list[int]:
    """Epochs and iterations in a file's name, for sorting."""
    return [int(number) for number in re.findall(r'\d+', path.stem)]


def _read_seed(path: Path) -> tuple[str, int]:
    checkpoint = read_checkpoint(path)
    find_weights(checkpoint, path)  # refuses NaN
    try:
        return str(path), int(checkpoint['meta']['seed'])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'checkpoint {path} cannot be resumed from: it holds no state of a run; to start from '
            'its weights use load_from in the config, or --pretrained'
        ) from error
