"""What MMEngine does not know of other packages than its own, and prints without need."""

import importlib.abc
import importlib.machinery
import importlib.util
import logging
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

__all__ = ['hide_debug_messages', 'know_our_configs']

CONFIGS = 'mmengine.config.config'


def know_our_configs() -> None:
    """Let configs of MMEngine inherit from this package's: ``_base_ = 'mmfreq::NAME.py'``.

    Their variables follow those of the file that inherits, see
    :mod:`mmfreq.utils.config_variables`.

    MMEngine has a fixed list of packages that configs may come from, by the names of OpenMMLab's
    own distributions: ``mmseg::`` is not found in those of OneDL, either. Nothing is imported for
    it: if MMEngine is not there yet, it learns this when its configs are imported.
    """
    if CONFIGS in sys.modules:
        _teach(sys.modules[CONFIGS])
    elif not any(isinstance(finder, _ConfigFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ConfigFinder())


def hide_debug_messages() -> None:
    """Stop MMEngine from printing messages of the level DEBUG where there is no logger yet.

    Without a logger it prints all levels, such as MMPretrain's about a package that nobody needs.
    """
    from mmengine import logging as mmengine_logging

    original = mmengine_logging.print_log
    if hasattr(original, 'shows_no_debug_messages'):
        return

    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        if logger is not None or level >= logging.INFO:
            original(msg, logger, level)

    print_log.shows_no_debug_messages = True  # type: ignore[attr-defined]
    mmengine_logging.print_log = print_log


def _teach(module: ModuleType) -> None:
    config = module.Config
    original = config._get_cfg_path
    if hasattr(original, 'knows_our_configs'):
        return

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith('mmfreq::'):
            from mmfreq.utils.config_files import config_path

            # No scope: the types of a config belong to the library of its default scope.
            return str(config_path(cfg_path)), None
        try:
            return original(cfg_path, filename)
        except ModuleNotFoundError:
            from mmfreq.utils.config_files import config_path

            return str(config_path(cfg_path)), cfg_path.partition('::')[0]

    read, copy = config._file2dict, config._substitute_predefined_vars

    def file2dict(filename: str, *args: Any, **kwargs: Any) -> Any:
        from mmfreq.utils.config_variables import reading_file

        with reading_file(filename):
            return read(filename, *args, **kwargs)

    def substitute_predefined_vars(filename: str, temp_config_name: str) -> None:
        from mmfreq.utils.config_variables import put_in_variables

        copy(filename, temp_config_name)
        put_in_variables(temp_config_name)

    get_cfg_path.knows_our_configs = True  # type: ignore[attr-defined]
    config._get_cfg_path = staticmethod(get_cfg_path)
    config._file2dict = staticmethod(file2dict)
    config._substitute_predefined_vars = staticmethod(substitute_predefined_vars)


class _ConfigFinder(importlib.abc.MetaPathFinder):
    """Waits for the import of MMEngine's configs, once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != CONFIGS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _TeachingLoader(spec.loader)
        return spec


class _TeachingLoader(importlib.abc.Loader):
    """Runs another loader, then teaches the module."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _teach(module)
