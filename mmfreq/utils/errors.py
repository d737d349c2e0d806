"""Errors about files of the user, whose message says what to do."""

__all__ = ['CheckpointError', 'ConfigError', 'DataError']


class CheckpointError(ValueError):
    """A checkpoint does not belong to the network that it is loaded into."""


class DataError(ValueError):
    """A file of a data set cannot be used; the message names it."""


class ConfigError(ValueError):
    """A config contradicts itself or its data; the message names the keys."""
