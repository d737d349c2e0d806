"""A model of data-parallel training on many devices, from what one device was measured to do.

It is a calculation, not a measurement: it knows ring all-reduce, overlap with the backward pass and
latencies, and nothing of data loading, stragglers or other users of the network.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path
from typing import NamedTuple

__all__ = ['HEADER', 'Cluster', 'Prediction', 'all_reduce_seconds', 'predict', 'rows_of']

HEADER = (
    *('network', 'image', 'batch', 'devices', 'step (ms)', 'efficiency', 'img/s', 'MB sent'),
    'hidden behind steps from (ms)',
)

BACKWARD = 2 / 3
"""Share of a step in which gradients become ready: the backward pass takes two of three parts."""


@dataclass(frozen=True)
class Cluster:
    """What connects the devices.

    Attributes:
        per_node (int): Devices in a node.
        within (float): Bandwidth of a device to others of its node, in bytes per second.
        between (float): Bandwidth of a device to other nodes, in bytes per second.
        latency (float): Of one message between nodes, in seconds.
        bucket (float): Bytes that DDP reduces together; the last ones are ready after the backward
            pass and cannot overlap with it.
    """

    per_node: int = 8
    within: float = 150e9
    between: float = 25e9
    latency: float = 10e-6
    bucket: float = 25 * 2**20


class Prediction(NamedTuple):
    """A step with one number of devices.

    Attributes:
        devices (int): Number of devices.
        volume (float): Bytes that each device sends in a step.
        communication (float): Seconds that the gradients travel.
        step (float): Seconds of a step, what does not overlap included.
        efficiency (float): Speed per device beside that of one alone.
    """

    devices: int
    volume: float
    communication: float
    step: float
    efficiency: float


def all_reduce_seconds(content: float, devices: int, cluster: Cluster) -> float:
    """Time of an all-reduce: over rings within nodes and between them, latencies as in a tree.

    Each device of a node reduces its share of the content with its counterparts of other nodes.

    Args:
        content (float): Bytes.
        devices (int): Number of devices.
        cluster (Cluster): What connects them.

    Returns:
        float: Seconds.
    """
    if devices == 1:
        return 0.0
    inside = min(devices, cluster.per_node)
    nodes = ceil(devices / cluster.per_node)
    seconds = 2 * (inside - 1) / inside * content / cluster.within
    seconds += 2 * (nodes - 1) / nodes * content / inside / cluster.between
    return seconds + 2 * ceil(log2(devices)) * cluster.latency


def predict(
    step: float, params: int, devices: int, cluster: Cluster, sync_norms: int = 0
) -> Prediction:
    """Predict a training step.

    Args:
        step (float): Seconds of a step on one device.
        params (int): Parameters that are trained; gradients are fp32.
        devices (int): Number of devices.
        cluster (Cluster): What connects them.
        sync_norms (int): Norms that synchronise, each twice in a step, without overlap. Defaults
            to 0.

    Returns:
        Prediction: The step.

    Raises:
        ValueError: If a number is not positive.
    """
    if min(step, params, devices) <= 0:
        raise ValueError(
            f'step, params and devices must be positive, got {step}, {params}, {devices}'
        )
    content = 4.0 * params
    communication = all_reduce_seconds(content, devices, cluster)
    last = all_reduce_seconds(min(cluster.bucket, content), devices, cluster)
    exposed = max(last, communication - BACKWARD * step)
    norms = 2 * sync_norms * all_reduce_seconds(0, devices, cluster)
    whole = step + exposed + norms
    volume = 2 * (devices - 1) / devices * content
    return Prediction(devices, volume, communication, whole, step / whole)


def rows_of(
    path: str | Path, devices: Sequence[int], cluster: Cluster, sync_norms: int = 0
) -> list[tuple[str, ...]]:
    """One line per training step of the CSV and number of devices.

    Args:
        path (str | Path): CSV of tools/benchmark.py.
        devices (Sequence[int]): Numbers of devices.
        cluster (Cluster): What connects them.
        sync_norms (int): Norms that synchronise. Defaults to 0.

    Returns:
        list[tuple[str, ...]]: As in ``HEADER``.

    Raises:
        ValueError: If the file has no training steps.
    """
    with open(path, newline='') as file:
        measured = [row for row in csv.DictReader(file) if row.get('mode') == 'training']
    rows: list[tuple[str, ...]] = []
    for row in measured:
        if row['status'] != 'ok':
            continue
        batch = int(row['batch_size'])
        seconds = batch / float(row['img_per_s'])
        for number in devices:
            found = predict(seconds, int(row['params']), number, cluster, sync_norms)
            rows.append(
                (
                    row['model'],
                    f'{row["height"]} x {row["width"]}',
                    str(batch),
                    str(number),
                    f'{1e3 * found.step:.0f}',
                    f'{found.efficiency:.1%}',
                    f'{number * batch / found.step:.4g}',
                    f'{found.volume / 1e6:.0f}',
                    f'{1e3 * found.communication / BACKWARD:.1f}',
                )
            )
    if not rows:
        raise ValueError(f'{path} has no training steps; run tools/benchmark.py --modes training')
    return rows
