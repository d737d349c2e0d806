import shutil
from contextlib import contextmanager


@contextmanager
def removed_folder(factory, name):
    """A folder for checkpoints that several tests share: gone after them, not after all tests.

    Together the files of a whole run would take 16 GB.
    """
    folder = factory.mktemp(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
