"""Results of a benchmark in a CSV file that a later run goes on with."""

import csv
import io
import os
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mmfreq.analysis.speed.benchmark import DONE, FIELDS, Case
from mmfreq.utils.atomic import atomic_write

__all__ = ['ResultFile', 'describe_machine', 'regressions', 'share_dropped', 'write_rows']

TOLERANCE = 0.15  # by which a ratio may fall before it is a regression


def describe_machine(device: str) -> str:
    """Name of a device's processor."""
    if device != 'cpu':
        return torch.cuda.get_device_name(device)
    cpu = platform.processor() or platform.machine()
    if Path('/proc/cpuinfo').exists():
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        cpu = next((line.split(': ')[1] for line in lines if line.startswith('model name')), cpu)
    return f'{cpu}, {os.cpu_count()} cores'


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
                found = set(reader.fieldnames or FIELDS)
                if not found <= set(FIELDS) or not set(Case._fields) < found:
                    raise ValueError(f'{self.path} is not a result of this benchmark; name another')
                empty = dict.fromkeys(FIELDS, '')  # for columns that earlier versions did not have
                self.rows = [{**empty, **row} for row in reader if row['date']]
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
        write_rows(self.path, FIELDS, self.rows)


def write_rows(path: Path, fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file as a whole.

    Args:
        path (Path): The file; its folder is made.
        fields (Sequence[str]): Columns.
        rows (Iterable[Mapping]): Values by column.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def regressions(
    recorded: Iterable[Mapping[str, str]], measured: Iterable[Mapping[str, Any]], key: Sequence[str]
) -> list[str]:
    """Ratios that have become worse than they were recorded.

    Args:
        recorded (Iterable[Mapping]): Rows of an earlier benchmark.
        measured (Iterable[Mapping]): Rows of a new one.
        key (Sequence[str]): Columns that say what was measured.

    Returns:
        list[str]: A sentence for each ratio that is more than 15 % below the recorded one.
    """
    before = {tuple(row[name] for name in key): row for row in recorded if row['ratio']}
    worse = []
    for row in measured:
        what = tuple(str(row[name]) for name in key)
        if what in before and row.get('ratio'):
            old, new = float(before[what]['ratio']), float(row['ratio'])
            if new < (1 - TOLERANCE) * old:
                worse.append(f'{" ".join(what)}: {new:.2f}, recorded {old:.2f}')
    return worse


def share_dropped(rows: Iterable[Mapping[str, str]]) -> float | None:
    """Mean share of steps that were dropped; where all of them had waited for a CPU, none was.

    Args:
        rows (Iterable[Mapping]): Lines of a result file.

    Returns:
        float | None: The share, None if nothing is known.
    """
    known = [float(row['dropped']) for row in rows if row['dropped']]
    dropped = [share if share < 1 else 0.0 for share in known]
    return sum(dropped) / len(dropped) if dropped else None


def _as_text(value: Any) -> str:
    if value is None:
        return ''
    return f'{value:.6g}' if isinstance(value, float) else str(value)
