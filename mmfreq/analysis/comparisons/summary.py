"""Numbers of a comparison: one row for each run, one for each network."""

import math
from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

__all__ = [
    'FIELDS',
    'TRIAL_FIELDS',
    'Summary',
    'average_of',
    'complete',
    'conditions_of',
    'score_of',
    'summarize',
    'under',
]

FIELDS = (
    'name',
    'seed',
    'config',
    'params',
    'metric',
    'val',
    'best_step',
    'test',
    'steps',
    'wall_s',
    'step_s',
    'date',
    'machine',
    'commit',
    'command',
    'data_roots',
    'curve',
)
TRIAL_FIELDS = (
    'name',
    'seed',
    'condition',
    'change',
    'metric',
    'value',
    'as_trained',
    'best_step',
    'date',
    'machine',
    'commit',
    'command',
)


class Summary(NamedTuple):
    """What the seeds of a network say together.

    Attributes:
        name (str): The network.
        params (int): Number of parameters.
        seeds (int): Number of runs.
        val (float): Mean of the metric on the validation set, of each run's best checkpoint.
        score (float): Mean on the test set, or on the validation set where there is no test set.
        spread (float): Standard deviation over the seeds, NaN for a single one.
        difference (float): To the mean of the first network.
        error (float): Standard error of the difference, NaN if a network has a single run.
    """

    name: str
    params: int
    seeds: int
    val: float
    score: float
    spread: float
    difference: float
    error: float


def summarize(results: Sequence[dict[str, Any]], names: Iterable[str]) -> list[Summary]:
    """Average over seeds and compare with the first network.

    The standard error of a difference of means is ``sqrt(s1^2 / n1 + s2^2 / n2)``: the runs of two
    networks with one seed have nothing in common but the order of the images.

    Args:
        results (Sequence[dict]): Results of the runs that are done.
        names (Iterable[str]): Networks in the order of the table; those without a run are left out.

    Returns:
        list[Summary]: One for each network.

    Raises:
        ValueError: If some were tested and others have no test set.
    """
    if len({result['test'] is None for result in results}) > 1:
        raise ValueError('some networks have a test set and others not: compare them apart')
    summaries: list[Summary] = []
    for name in names:
        runs = [result for result in results if result['name'] == name]
        if not runs:
            continue
        scores = [score_of(result) for result in runs]
        spread = stdev(scores) if len(scores) > 1 else math.nan
        first = summaries[0] if summaries else None
        error = spread / math.sqrt(len(scores))
        if first:
            error = math.hypot(error, first.spread / math.sqrt(first.seeds))
        summaries.append(
            Summary(
                name,
                runs[0]['params'],
                len(runs),
                mean(result['val'] for result in runs),
                mean(scores),
                spread,
                mean(scores) - first.score if first else 0.0,
                error if first else 0.0,
            )
        )
    return summaries


def score_of(result: dict[str, Any]) -> float:
    """The metric on the test set, or on the validation set where there is no test set."""
    return result['val'] if result['test'] is None else result['test']


def conditions_of(results: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the conditions, in order, that trained networks were tested under."""
    return list(dict.fromkeys(result['condition'] for result in results))


def complete(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results of those runs alone that have one under each condition that their network has one of.

    So that the means of a network are over the same runs.
    """
    wanted: dict[str, set[str]] = {}
    found: dict[tuple[str, int], set[str]] = {}
    for result in results:
        wanted.setdefault(result['name'], set()).add(result['condition'])
        found.setdefault((result['name'], result['seed']), set()).add(result['condition'])
    whole = {run for run, conditions in found.items() if conditions == wanted[run[0]]}
    return [result for result in results if (result['name'], result['seed']) in whole]


def under(results: Sequence[dict[str, Any]], condition: str) -> list[dict[str, Any]]:
    """The results under one condition."""
    return [result for result in results if result['condition'] == condition]


def average_of(results: Sequence[dict[str, Any]], name: str, key: str) -> float:
    """Mean of a number over the runs of a network, NaN without any."""
    runs = {int(result['seed']): float(result[key]) for result in results if result['name'] == name}
    return mean(runs.values()) if runs else math.nan
