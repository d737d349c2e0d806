"""Results of a benchmark in a CSV file that a later run goes on with."""

import csv
import io
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from mmfreq.analysis.benchmark import DONE, FIELDS, Case
from mmfreq.utils.atomic import atomic_write

__all__ = ['ResultFile']


class ResultFile:
    """Results that are kept as soon as they are there.

    Args:
        path (str | Path): The CSV file; lines of an earlier run stay, a last line that was cut off
            does not.
        machines (Collection[str]): What this machine calls its devices.

    Raises:
        ValueError: If the file has other columns, or results of another machine.
    """

    def __init__(self, path: str | Path, machines: Collection[str]) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline='') as file:
                reader = csv.DictReader(file)
                if tuple(reader.fieldnames or FIELDS) != FIELDS:
                    raise ValueError(f'{self.path} is not a result of this benchmark; name another')
                self.rows = [row for row in reader if row['date']]
        others = {row['machine'] for row in self.rows} - set(machines)
        if others:
            raise ValueError(
                f'{self.path} has results of another machine: {"; ".join(sorted(others))}; '
                'name another file with --out'
            )
        self._write_all()

    def is_done(self, case: Case) -> bool:
        """Whether the case was measured, or has shown that memory does not suffice."""
        return any(
            row['status'] in DONE
            and all(row[name] == str(value) for name, value in case._asdict().items())
            for row in self.rows
        )

    def add(self, results: Iterable[dict[str, Any]]) -> None:
        """Append results, those of a case in place of earlier ones that failed."""
        for result in results:
            key = {name: str(result[name]) for name in Case._fields}
            self.rows = [row for row in self.rows if not key.items() <= row.items()]
            self.rows.append({name: _as_text(result.get(name)) for name in FIELDS})
        self._write_all()

    def _write_all(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_write(self.path) as file:
            file.write(text.getvalue().encode())


def _as_text(value: Any) -> str:
    if value is None:
        return ''
    return f'{value:.6g}' if isinstance(value, float) else str(value)
