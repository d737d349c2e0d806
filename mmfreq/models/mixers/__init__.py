"""Token mixers: modules that map channels-last features ``(B, H, W, C)`` to the same shape."""

from mmfreq.models.mixers.adaptive_filter import AdaptiveFilter
from mmfreq.models.mixers.dynamic_spectrum import DynamicSpectrum
from mmfreq.models.mixers.expanded import DynamicFilter, ExpandedGlobalFilter, SeparableConv
from mmfreq.models.mixers.global_filter import GlobalFilter
from mmfreq.models.mixers.heat_conduction import FrequencyEmbedding, HeatConduction
from mmfreq.models.mixers.recursive_gate import (
    DepthwiseConv,
    GlobalLocalFilter,
    RecursiveGatedConv,
)
from mmfreq.models.mixers.resizable_filter import ResizableFilter

__all__ = [
    'AdaptiveFilter',
    'DepthwiseConv',
    'DynamicFilter',
    'DynamicSpectrum',
    'ExpandedGlobalFilter',
    'FrequencyEmbedding',
    'GlobalFilter',
    'GlobalLocalFilter',
    'HeatConduction',
    'RecursiveGatedConv',
    'ResizableFilter',
    'SeparableConv',
]
