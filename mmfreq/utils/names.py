"""Names in messages: lists of them, and what an unknown one may have meant."""

import difflib
from collections.abc import Sequence

__all__ = ['enumerate_names', 'nearest']

MOST = 80  # names that a message can list


def nearest(name: str, known: Sequence[str]) -> str:
    """End of a message about an unknown name: what may have been meant, or what there is.

    Args:
        name (str): The unknown name.
        known (Sequence[str]): Names that exist.

    Returns:
        str: ``'; did you mean A, B?'`` with up to three names like it, in any case of letters;
        without one ``'; there are A, B, C'``, or nothing if there are none or too many to read.
    """
    close = difflib.get_close_matches(name.lower(), [item.lower() for item in known], n=3)
    found = [item for item in known if item.lower() in close]
    if found:
        return f'; did you mean {", ".join(found)}?'
    return f'; there are {", ".join(known)}' if 0 < len(known) <= MOST else ''


def enumerate_names(names: list[str], most: int = 5) -> str:
    """Join names for a message, the first few and a count of the others."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
