"""Tables of a comparison: of its runs, and of trained networks under other conditions."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmfreq.analysis.comparisons.summary import (
    FIELDS,
    TRIAL_FIELDS,
    Summary,
    average_of,
    complete,
    conditions_of,
    under,
)
from mmfreq.utils.tables import markdown_table

__all__ = ['read_runs', 'runs_csv', 'runs_table', 'trials_csv', 'trials_table']


def runs_table(summaries: Sequence[Summary], metric: str, is_tested: bool) -> str:
    """A line for each network.

    Args:
        summaries (Sequence[Summary]): From :func:`mmfreq.analysis.comparisons.summary.summarize`.
        metric (str): Name of the metric.
        is_tested (bool): Whether scores are those of a test set.

    Returns:
        str: Table in Markdown.
    """
    first = summaries[0].name
    header = (
        'network',
        'parameters',
        'runs',
        f'{metric}, val, best',
        f'{metric}, {"test" if is_tested else "val"}',
        f'difference to {first}',
    )
    digits = 2 if max(abs(summary.score) for summary in summaries) > 1 else 4  # AP is a share
    rows = []
    for summary in summaries:
        difference = f'{summary.difference:+.{digits}f}{_plus_minus(summary.error, digits)}'
        rows.append(
            (
                summary.name,
                f'{summary.params / 1e6:.2f} M',
                summary.seeds,
                f'{summary.val:.{digits}f}',
                f'{summary.score:.{digits}f}{_plus_minus(summary.spread, digits)}',
                '' if summary.name == first else difference,
            )
        )
    return markdown_table(rows, header)


def runs_csv(results: Sequence[dict[str, Any]]) -> str:
    """A line for each run; its curve as ``step:value`` pairs."""
    curves = [' '.join(f'{step}:{value:g}' for step, value in r['curve']) for r in results]
    rows = [{**result, 'curve': curve} for result, curve in zip(results, curves, strict=True)]
    return _csv(rows, FIELDS)


def read_runs(rows: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Results of runs from the lines of :func:`runs_csv`, for the summary."""
    return [
        {
            **row,
            'seed': int(row['seed']),
            'params': int(row['params']),
            'val': float(row['val']),
            'test': float(row['test']) if row['test'] else None,
        }
        for row in rows
    ]


def trials_csv(results: Sequence[dict[str, Any]]) -> str:
    """A line for each trial that is done."""
    return _csv(results, TRIAL_FIELDS)


def trials_table(results: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """A line for each condition, a column for each network: means over the seeds.

    Runs that miss some of their network's conditions are left out.

    Args:
        results (Sequence[dict]): Results of trials.
        names (Sequence[str]): Networks in the order of the columns.

    Returns:
        str: Table in Markdown, its first line as trained.
    """
    results = complete(results)
    rows = [('as trained', [average_of(results, name, 'as_trained') for name in names])]
    for condition in conditions_of(results):
        found = under(results, condition)
        rows.append((condition, [average_of(found, name, 'value') for name in names]))
    digits = 2 if max(rows[0][1]) > 1 else 4
    shown = [
        (name, *('' if math.isnan(value) else f'{value:.{digits}f}' for value in row))
        for name, row in rows
    ]
    return markdown_table(shown, (results[0]['metric'], *names))


def _csv(rows: Iterable[dict[str, Any]], fields: Sequence[str]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, fields, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _plus_minus(spread: float, digits: int) -> str:
    return '' if math.isnan(spread) else f' ± {spread:.{digits}f}'
