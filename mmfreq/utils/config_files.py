"""Config files of this repository and of installed libraries."""

import importlib.util
from pathlib import Path

from mmengine.config import Config

from mmfreq.utils.errors import ConfigError
from mmfreq.utils.names import nearest

__all__ = ['read_model_config']


def read_model_config(name: str) -> Config:
    """Read a config of this repository or of an installed library.

    Args:
        name (str): Path of a config, or one that mmdet, mmseg or mmpretrain bring along, such as
            ``'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'``.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file; the message has the nearest names.
        ValueError: If there is no such library, or the file cannot be read.
    """
    library, _, path = name.rpartition('::')
    folder = Path(path).parent
    if library:
        if library not in ('mmdet', 'mmseg', 'mmpretrain'):
            raise ValueError(f'{name}: configs are in mmdet, mmseg and mmpretrain')
        package = importlib.util.find_spec(library)
        if package is None or package.origin is None:
            raise ValueError(f'{name}: {library} is not installed')
        folder = Path(package.origin).parent / '.mim/configs'
        path = str(folder / path)
    if not Path(path).is_file():
        if library:
            known = [f'{library}::{file.relative_to(folder)}' for file in folder.rglob('*.py')]
        else:
            known = [str(file) for file in folder.glob('*.py')]
        raise FileNotFoundError(f'there is no config {name}{nearest(name, sorted(known))}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # whatever the code of a config leads to
        raise ConfigError(
            f'config {name} cannot be read ({type(error).__name__}: {error}); correct the file'
        ) from error
