"""Errors about files of the user, whose message says what to do."""

__all__ = ['CheckpointError', 'SampleError']


class CheckpointError(ValueError):
    """A checkpoint does not belong to the network that it is loaded into."""


class SampleError(ValueError):
    """A sample of a data set could not be prepared; the message names its files."""
