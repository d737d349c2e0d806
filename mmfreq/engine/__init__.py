"""What a run needs beside networks and data: optimiser rules, loops, checkpoints, launching."""

from mmfreq.engine.checkpoint_hook import CheckpointHook
from mmfreq.engine.data_check_hook import DataCheckHook
from mmfreq.engine.layer_decay import LayerDecayOptimWrapperConstructor
from mmfreq.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from mmfreq.engine.nonfinite_hook import NonFiniteLossHook

__all__ = [
    'CheckpointHook',
    'DataCheckHook',
    'EpochBasedTrainLoop',
    'IterBasedTrainLoop',
    'LayerDecayOptimWrapperConstructor',
    'NonFiniteLossHook',
]
