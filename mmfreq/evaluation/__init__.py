"""Metrics."""

from mmfreq.evaluation.confusion_matrix import ConfusionMatrix

__all__ = ['ConfusionMatrix']
