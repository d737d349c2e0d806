"""What a run needs beside networks and data: optimiser rules, launching, configs."""

from mmfreq.engine.layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ['LayerDecayOptimWrapperConstructor']
