"""Config files of this package and of installed libraries: where they are, by path or by name."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmfreq.utils.config_variables import reading_with
from mmfreq.utils.errors import ConfigError
from mmfreq.utils.names import nearest

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ['config_names', 'config_path', 'configs_folder', 'is_config', 'read_model_config']

LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')


def configs_folder() -> Path:
    """Folder of the configs that come with this package.

    Returns:
        Path: ``mmfreq/.mim/configs`` of an installed package, ``configs`` of a checkout.
    """
    package = Path(__file__).parents[1]
    installed = package / '.mim' / 'configs'
    return installed if installed.is_dir() else package.parent / 'configs'


def config_names() -> list[str]:
    """Names of the configs of whole models that come with this package.

    Returns:
        list[str]: File names without ending, sorted.
    """
    return sorted(path.stem for path in configs_folder().glob('*.py'))


def is_config(name: str) -> bool:
    """Whether a name that may be that of a backbone means a config."""
    return name.endswith('.py') or '::' in name or name in config_names()


def config_path(name: str) -> Path:
    """Find a config file.

    Args:
        name (str): Path of a file; a name from :func:`config_names`, with or without ``mmfreq::``
            and ``.py``; or a config that mmdet, mmseg or mmpretrain bring along, such as
            ``'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'``.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: If there is no such file; the message has the nearest names.
        ValueError: If there is no such library.
    """
    library, _, path = name.rpartition('::')
    if library not in ('', 'mmfreq'):
        folder = _configs_of(library)
        known = [f'{library}::{file.relative_to(folder)}' for file in sorted(folder.rglob('*.py'))]
        found = folder / path
    elif not library and Path(path).is_file():
        return Path(path)
    else:
        found = configs_folder() / f'{path.removesuffix(".py")}.py'
        known = config_names()
        if Path(path).parent.name and not library:  # a path, of a file that is not there
            found = Path(path)
            known = [*map(str, sorted(found.parent.glob('*.py'))), *known]
    if not found.is_file():
        raise FileNotFoundError(f'there is no config {name}{nearest(name, known)}')
    return found


def _configs_of(library: str) -> Path:
    if library not in LIBRARIES:
        raise ValueError(
            f'no library {library!r}: configs are in mmfreq, mmdet, mmseg and mmpretrain'
        )
    package = importlib.util.find_spec(library)
    if package is None or package.origin is None:
        raise ValueError(f"{library} is not installed; pip install 'mmfreq[onedl]'")
    return Path(package.origin).parent / '.mim/configs'


def read_model_config(
    name: str, variables: Mapping[str, Any] | None = None, used: set[str] | None = None
) -> 'Config':
    """Read a config of this package, of a user or of an installed library.

    Args:
        name (str): As in :func:`config_path`.
        variables (Mapping, optional): Values for variables of its files, by name, see
            :mod:`mmfreq.utils.config_variables`. Defaults to none.
        used (set[str], optional): Gets the names of the variables that a file sets.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file; the message has the nearest names.
        ValueError: If there is no such library, the file cannot be read, or a variable is of
            another kind.
    """
    from mmengine.config import Config

    path = config_path(name)
    try:
        with reading_with(variables or {}) as found:
            config = Config.fromfile(str(path))
        if used is not None:
            used.update(found)
        return config
    except ConfigError:
        raise
    except Exception as error:  # whatever the code of a config leads to
        raise ConfigError(
            f'config {name} cannot be read ({type(error).__name__}: {error}); correct the file'
        ) from error
