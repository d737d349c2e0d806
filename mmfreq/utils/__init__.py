"""Helpers that are not about networks."""

from mmfreq.utils.checkpoint import find_state_dict, read_checkpoint

__all__ = ['find_state_dict', 'read_checkpoint']
