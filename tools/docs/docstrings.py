"""Docstrings as Markdown: roles, links and simple tables of reStructuredText become Markdown's."""

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r':\w+:`~?([^`]+)`')
WEB = re.compile(r'`([^`<]+?)\s+<([^>]+)>`_')
TABLE = re.compile(r'^=+(?:  +=+)+\n(.+)\n(=+(?:  +=+)+)\n((?:.+\n)+?)\2$', re.MULTILINE)


class MarkdownDocstrings(Extension):
    """Rewrites docstrings before mkdocstrings reads them."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Rewrite a docstring.

    Args:
        text (str): Docstring without indentation.

    Returns:
        str: The same in Markdown.
    """
    text = WEB.sub(r'[\1](\2)', ROLE.sub(r'`\1`', text))
    return TABLE.sub(_table, text)


def _table(match: re.Match) -> str:
    header, rule, body = match.groups()
    columns = [(part.start(), part.end()) for part in re.finditer('=+', rule)]
    columns[-1] = (columns[-1][0], None)  # the last one may be longer than its rule
    rows = [[line[start:end].strip() for start, end in columns] for line in body.splitlines()]
    names = [header[start:end].strip() for start, end in columns]
    lines = [names, ['---'] * len(names), *rows]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)
