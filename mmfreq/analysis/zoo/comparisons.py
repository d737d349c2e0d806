"""Tables of trainings that were compared, from what ``mmfreq compare`` wrote."""

from mmfreq.analysis.comparisons.summary import summarize
from mmfreq.analysis.comparisons.tables import read_runs, runs_table, trials_table
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.facts import measured_rows

__all__ = ['comparison_table', 'conditions_table']


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
