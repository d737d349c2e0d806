"""Configs with the values of ``--cfg-options``, those of variables included."""

from typing import Any

from mmengine.config import Config

from mmfreq.engine.config_errors import KEYS, merge_options
from mmfreq.utils.config_files import read_model_config

__all__ = ['read_with_options', 'read_with_variables']


def read_with_variables(name: str, options: dict[str, Any] | None) -> tuple[Config, dict[str, Any]]:
    """Read a config with those options that are variables of its files, such as ``crop_size``.

    Args:
        name (str): As in :func:`mmfreq.utils.config_files.config_path`.
        options (dict, optional): Values by dotted key, of ``--cfg-options``.

    Returns:
        tuple[Config, dict]: The config, and the options that are left, for
        :func:`mmfreq.engine.config_errors.merge_options`.

    Raises:
        FileNotFoundError: If there is no such file; the message has the nearest names.
        ValueError: If the file cannot be read, or a variable is of another kind.
    """
    options = options or {}
    variables = {key: value for key, value in options.items() if '.' not in key and key not in KEYS}
    used: set[str] = set()
    config = read_model_config(name, variables, used)
    return config, {key: value for key, value in options.items() if key not in used}


def read_with_options(name: str, options: dict[str, Any] | None) -> Config:
    """Read a config and put the values of ``--cfg-options`` into it.

    Args:
        name (str): As in :func:`mmfreq.utils.config_files.config_path`.
        options (dict, optional): Values by dotted key.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file; the message has the nearest names.
        ValueError: If the file cannot be read, or an option cannot have an effect.
    """
    config, left = read_with_variables(name, options)
    merge_options(config, left)
    return config
