"""Tables of trainings that were compared, from what ``mmfreq compare`` wrote."""

from pathlib import Path

from mmfreq.analysis.comparisons.summary import summarize
from mmfreq.analysis.comparisons.tables import read_runs, runs_table, trials_table
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.facts import measured_rows
from mmfreq.utils.tables import markdown_table

__all__ = ['comparison_table', 'conditions_table', 'shift_table']


def comparison_table(sources: Sources, name: str) -> str:
    """Networks that were trained under one recipe.

    Args:
        sources (Sources): Where everything is from.
        name (str): Name of the measurement, ``runs.csv`` of a comparison.

    Returns:
        str: Table in Markdown, with how it was made.
    """
    runs = read_runs(measured_rows(name))
    names = list(dict.fromkeys(run['name'] for run in runs))
    is_tested = any(run['test'] is not None for run in runs)
    table = runs_table(summarize(runs, names), runs[0]['metric'], is_tested)
    return (
        f'{table}\n\n'
        'Mean and standard deviation over the runs, each with a seed of its own; differences with '
        f'their standard errors. Trained and {sources.note(name)}.'
    )


def conditions_table(sources: Sources, name: str) -> str:
    """The same networks under other conditions than those of their training.

    Args:
        sources (Sources): Where everything is from.
        name (str): Name of the measurement, ``conditions.csv`` of a comparison.

    Returns:
        str: Table in Markdown, with how it was made.
    """
    rows = measured_rows(name)
    networks = list(dict.fromkeys(row['name'] for row in rows))
    return f'{trials_table(rows, networks)}\n\nOf the networks above, {sources.note(name)}.'


def shift_table(sources: Sources, name: str) -> str:
    """Labels that stay when the camera moves, near the borders of an image and inside.

    Args:
        sources (Sources): Where everything is from.
        name (str): Name of the measurement, lines of ``shift_consistency.py``.

    Returns:
        str: Table in Markdown, with how it was made.
    """
    rows = measured_rows(name)
    lines = []
    for row in rows:
        near, inside = (float(row[key]) for key in ('equal_near_border', 'equal_inside'))
        network = Path(row['config']).parents[1].name
        lines.append((network, f'{near:.1%}', f'{inside:.1%}', f'{100 * (near - inside):+.1f}'))
    header = ('network', 'equal labels near a border', 'inside', 'difference')
    first = rows[0]
    return (
        f'{markdown_table(lines, header)}\n\n'
        f'Windows of {first["images"]} images, one {first["shift"]} pixels further down and to the '
        f'right; a border is {first["border"]} pixels wide; {sources.note(name)}.'
    )
