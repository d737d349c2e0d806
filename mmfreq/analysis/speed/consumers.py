"""Where a network's time goes: the operators that take most of a step."""

from collections import Counter
from typing import NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mmfreq.analysis.speed.workloads import Workload

__all__ = ['FUSED', 'Consumer', 'largest_consumers']

FUSED = 'fused by the compiler'
FUSED_NAMES = ('## Call CompiledFxGraph', 'cpp_fused', 'graph_', 'triton_')


class Consumer(NamedTuple):
    """An operator and what it takes, without the operators that it calls.

    Attributes:
        operator (str): Name in PyTorch, or :data:`FUSED`.
        ms (float): Milliseconds per step.
        share (float): Of the step.
        calls (float): Per step.
    """

    operator: str
    ms: float
    share: float
    calls: float


def largest_consumers(workload: Workload, steps: int = 5, warmup: int = 3) -> list[Consumer]:
    """Profile a workload.

    The profiler itself takes a few percent, most with many small operators.

    Args:
        workload (Workload): A network and what it does in a step.
        steps (int): Steps to profile. Defaults to 5.
        warmup (int): Steps before them. Defaults to 3.

    Returns:
        list[Consumer]: All operators, the largest first.
    """
    on_gpu = workload.device.type == 'cuda'
    for _ in range(warmup):
        workload.step()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, acc_events=True) as profiler:
        for _ in range(steps):
            workload.step()
        if on_gpu:
            torch.cuda.synchronize(workload.device)
    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for event in profiler.key_averages():
        if event.device_type != DeviceType.CPU:  # kernels, whose time their operators have
            continue
        name = FUSED if event.key.startswith(FUSED_NAMES) else event.key
        time = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        seconds[name] += time / 1e6 / steps
        calls[name] += event.count / steps
    total = sum(seconds.values())
    return [
        Consumer(name, 1e3 * time, time / total, calls[name])
        for name, time in seconds.most_common()
    ]
