"""Files that are either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mmengine.fileio import LocalBackend, register_backend

__all__ = ['AtomicBackend', 'atomic_write', 'remove_unfinished']

UNFINISHED = '.unfinished'


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name only when all of it is on the disk.

    It is written beside its place, flushed to the disk and renamed, and then the folder is flushed,
    so that neither a killed process nor a machine that goes down leaves half a file.

    Args:
        path (str | Path): Path of the file; an existing file is replaced.

    Yields:
        IO[bytes]: The file to write to.

    Raises:
        OSError: If writing fails, for example on a full disk. ``path`` is then as it was before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.{os.getpid()}{UNFINISHED}')
    try:
        with open(unfinished, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what a killed process left of :func:`atomic_write` in a folder."""
    for path in Path(folder).glob(f'*{UNFINISHED}'):
        path.unlink(missing_ok=True)


@register_backend('mmfreq.atomic')
class AtomicBackend(LocalBackend):
    """MMEngine's backend for local files, with files that are replaced as a whole."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file.

        Args:
            obj (bytes): Content.
            filepath (str | Path): Path.
        """
        with atomic_write(filepath) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write a text file.

        Args:
            obj (str): Content.
            filepath (str | Path): Path.
            encoding (str): Defaults to ``'utf-8'``.
        """
        self.put(obj.encode(encoding), filepath)
