"""What an inspection found: facts, problems and what to do about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ['Report', 'describe_sizes', 'percent', 'several']


@dataclass
class Report:
    """Facts of a data set, and what is wrong with it.

    Attributes:
        facts (list): Name and text of each fact.
        notes (list[str]): What to know; nothing has to be done.
        problems (list[str]): What is wrong with single files, which a written config leaves out,
            and what to do.
        obstacles (list[str]): What keeps a training from running, and what to do.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    def add_problem(self, names: Sequence[str], what: str) -> None:
        """Name the files, or whatever has a problem; none is no problem.

        Args:
            names (Sequence[str]): Their names.
            what (str): What they are, in the plural.
        """
        if names:
            self.problems.append(several(len(names), what, names))

    def text(self) -> str:
        """The report as lines for a terminal."""
        width = max((len(name) for name, _ in self.facts), default=0)
        lines = [f'{name:{width}}  {text}' for name, text in self.facts]
        for heading, items in (
            ('to know', self.notes),
            ('problems (left out of a config that is written)', self.problems),
            ('to be mended before a training', self.obstacles),
        ):
            if items:
                lines += ['', f'{heading}:', *(f'- {item}' for item in items)]
        return '\n'.join(lines)


def several(count: int, what: str, names: Sequence[str]) -> str:
    """A count with the first names, as in ``'2 images without a mask: a.jpg, b.jpg'``.

    Args:
        count (int): How many.
        what (str): What they are, in the plural.
        names (Sequence[str]): Their names.

    Returns:
        str: At most three of the names.
    """
    more = ', ...' if count > 3 else ''
    return f'{count} {what}: {", ".join(names[:3])}{more}'


def percent(part: int, whole: int) -> str:
    """A share in percent, with one digit; ``'< 0.1 %'`` for what would be 0."""
    share = 100 * part / whole if whole else 0.0
    return '< 0.1 %' if 0 < share < 0.05 else f'{share:.1f} %'


def describe_sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """Image sizes in words.

    Args:
        sizes (Sequence[tuple[int, int]]): Width and height of each image.

    Returns:
        str: One size, or the most frequent one with the smallest and the largest.
    """
    counts = Counter(sizes)
    (width, height), often = counts.most_common(1)[0]
    if len(counts) == 1:
        return f'{width}x{height}'
    least, most = (choose(counts, key=lambda size: size[0] * size[1]) for choose in (min, max))
    return (
        f'{len(counts)} sizes, from {least[0]}x{least[1]} to {most[0]}x{most[1]}, most often '
        f'{width}x{height} ({percent(often, len(sizes))})'
    )
