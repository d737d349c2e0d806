"""Tables in Markdown."""

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

__all__ = ['markdown_table']


def markdown_table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    """A table as GitHub reads it, with numbers as they are written.

    Args:
        rows (Sequence[Sequence]): Lines of cells.
        header (Sequence[str]): Titles of the columns.

    Returns:
        str: Table in Markdown.
    """
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)
