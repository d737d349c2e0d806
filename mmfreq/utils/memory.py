"""What the C library does with memory that is free."""

import ctypes
import os

__all__ = ['keep_freed_memory']

# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Let glibc keep the memory of freed tensors for the next ones.

    Without this, it returns large blocks to the system at once and takes them again, page by page
    and filled with zeros, for the next layer: on a CPU up to half of a training step. The process
    stays as large as it has been, with gaps that no tensor fits into. Set ``MALLOC_`` variables are
    left as they are, other allocators (jemalloc, tcmalloc) and systems too.

    Returns:
        bool: Whether it was done.
    """
    if any(name.startswith('MALLOC_') for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, -1) and mallopt(M_MMAP_MAX, 0))
