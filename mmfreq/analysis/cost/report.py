"""Costs of networks as records, and records as text, JSON, CSV or Markdown."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from tabulate import tabulate
from torch import nn

from mmfreq.analysis.cost.flops import Cost, count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS

__all__ = ['LAYOUTS', 'Counted', 'count_networks', 'show_costs', 'uncounted_operators']

LAYOUTS = {
    'json': 'one object; params and flops are plain numbers',
    'csv': 'comma-separated values',
    'markdown': 'a Markdown table',
}


class Counted(NamedTuple):
    """A network to be counted.

    Attributes:
        name (str): What it is called in the report.
        network (nn.Module): Called with images.
        channels (int): Channels of its images.
        shape (tuple[int, int]): Image size ``(H, W)`` that its costs are usually given for.
    """

    name: str
    network: nn.Module
    channels: int
    shape: tuple[int, int]


def count_networks(
    networks: Iterable[Counted], shapes: Sequence[Sequence[int]], convention: str
) -> list[dict[str, Any]]:
    """Count networks at some image sizes.

    Args:
        networks (Iterable[Counted]): The networks, made one after the other.
        shapes (Sequence[Sequence[int]]): Height and width in pixels, or the side of squares; none
            for each network's usual size.
        convention (str): How operations are counted, one of
            :data:`mmfreq.analysis.cost.operator_costs.CONVENTIONS`.

    Returns:
        list[dict]: A record of plain values for each network and size.

    Raises:
        ValueError: If a network cannot take images of the size.
    """
    records = []
    for name, network, channels, usual in networks:
        for shape in shapes or [usual]:
            height, width = shape[0], shape[-1]
            try:
                images = torch.zeros(1, channels, height, width)
                cost = count_cost(network, images, CONVENTIONS[convention])
            except Exception as error:  # whatever a network of any library does
                raise ValueError(
                    f'{name} cannot take images of {height} x {width} pixels: '
                    f'{type(error).__name__}: {error}'
                ) from error
            records.append(_as_record(name, (height, width), convention, cost))
    return records


def show_costs(records: Sequence[dict[str, Any]], layout: str | None) -> str:
    """Records as text.

    Args:
        records (Sequence[dict]): At least one, of :func:`count_networks`.
        layout (str, optional): One of :data:`LAYOUTS`, None for text to read.

    Returns:
        str: One or more lines, the last without its end.
    """
    if layout == 'json':
        return json.dumps(records[0] if len(records) == 1 else dict(results=records), indent=2)
    rows: list[tuple[Any, ...]] = []
    for record in records:
        size = ' x '.join(map(str, record['shape']))
        rows.append((record['model'], size, 'all', record['params'], record['flops']))
        rows += [
            ('', '', name, part['params'], part['flops'])
            if layout is None
            else (record['model'], size, name, part['params'], part['flops'])
            for name, part in record['parts'].items()
        ]
    header = ('model', 'height x width', 'part', 'params', 'flops')
    if layout == 'csv':
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow((*header, 'convention'))
        writer.writerows((*row, records[0]['convention']) for row in rows)
        return text.getvalue().removesuffix('\n')
    rows = [(*row[:3], f'{row[3] / 1e6:.2f} M', f'{row[4] / 1e9:.3f} G') for row in rows]
    style = 'github' if layout == 'markdown' else 'simple'
    table = tabulate(rows, header, tablefmt=style, disable_numparse=True)
    convention = CONVENTIONS[records[0]['convention']]
    return (
        f'{table}\n\nFlops of one image in {convention.unit}, {convention.description};\n'
        'norms, activations, softmax and additions are not counted.'
    )


def uncounted_operators(records: Sequence[dict[str, Any]]) -> list[str]:
    """Operators without a known cost, and how often each was called, in alphabetical order."""
    return sorted(
        {
            f'{name} in {record["model"]} ({count} times)'
            for record in records
            for name, count in record['uncounted'].items()
        }
    )


def _as_record(name: str, shape: tuple[int, int], convention: str, cost: Cost) -> dict[str, Any]:
    """A result as plain values."""
    return dict(
        model=name,
        shape=list(shape),
        params=cost.params,
        flops=cost.flops,
        convention=convention,
        unit=CONVENTIONS[convention].unit,
        parts={part: vars(value) for part, value in cost.parts.items()},
        operators=cost.operators,
        uncounted=cost.uncounted,
    )
