"""A benchmark's results as figures and as one page that needs no network."""

import base64
import math
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from mmfreq.check_env import STACK
from mmfreq.version import __version__

__all__ = ['bars', 'curves', 'write_report']

QUANTITIES = {
    'throughput': ('img_per_s', 'Throughput (images per second)'),
    'memory': ('memory_mib', 'Peak memory (MiB)'),
}
COLUMNS = {
    'model': 'model',
    'mode': 'mode',
    'variant': 'variant',
    'device': 'device',
    'height': 'height',
    'width': 'width',
    'batch_size': 'batch',
    'params': 'params (M)',
    'img_per_s': 'img/s',
    'spread': 'spread',
    'ms_p50': 'p50 (ms)',
    'ms_p90': 'p90 (ms)',
    'ms_p99': 'p99 (ms)',
    'dropped': 'dropped',
    'memory_mib': 'memory (MiB)',
    'ratio': 'ratio',
    'ratio_spread': 'its spread',
    'reference': 'reference',
    'error': 'error',
    'prepare_s': 'prepared (s)',
    'status': 'status',
}
TEXTS = ('model', 'mode', 'variant', 'device', 'reference', 'status')
Row = dict[str, str]


def write_report(rows: Sequence[Row], folder: Path, command: str) -> Path:
    """Write a page with results, figures, machine and versions, and the figures as files.

    Args:
        rows (Sequence[dict]): Lines of a result file.
        folder (Path): Folder for ``index.html`` and the figures (SVG and PNG), created if missing.
        command (str): The command that measured them.

    Returns:
        Path: The page. It refers to nothing outside of itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for mode in dict.fromkeys(row['mode'] for row in rows):
        of_mode = [row for row in rows if row['mode'] == mode]
        drawn = {name: (curves(of_mode, name), QUANTITIES[name][1]) for name in QUANTITIES}
        drawn['variants'] = (bars(of_mode), 'Time of a step beside the first variant')
        for name, (figure, label) in drawn.items():
            if figure is None:
                continue
            path = folder / f'{name}_{mode}'
            for suffix in ('.svg', '.png'):
                figure.savefig(path.with_suffix(suffix), dpi=150)
            plt.close(figure)
            data = base64.b64encode(path.with_suffix('.svg').read_bytes()).decode()
            figures.append(dict(title=f'{label}, {mode}', data=data))
    environment = Environment(loader=PackageLoader('mmfreq.analysis', 'speed'), autoescape=True)
    page = folder / 'index.html'
    page.write_text(
        environment.get_template('report.html.jinja').render(
            title='Speed and memory of backbones, measured with mmfreq',
            command=command,
            facts=_facts(rows),
            figures=figures,
            columns=[
                dict(title=title, number=name not in TEXTS) for name, title in COLUMNS.items()
            ],
            rows=[_table_row(row) for row in rows],
        )
    )
    return page


def curves(rows: Sequence[Row], quantity: str) -> Figure | None:
    """Draw a quantity against the image size, a line per network; bars if there is one size.

    Args:
        rows (Sequence[dict]): Lines of a result file, of one mode.
        quantity (str): ``'throughput'`` or ``'memory'``.

    Returns:
        Figure | None: A figure with a panel per device, variant and batch size; None if nothing was
        measured.
    """
    column, label = QUANTITIES[quantity]
    measured = [row for row in rows if row['status'] == 'ok']
    if not measured:
        return None
    models = list(dict.fromkeys(row['model'] for row in measured))
    settings = list(dict.fromkeys(map(_setting, measured)))
    figure, axes = plt.subplots(
        1, len(settings), figsize=(6.4 * len(settings), 4.6), squeeze=False, layout='constrained'
    )
    for setting, ax in zip(settings, axes[0], strict=True):
        panel = [row for row in measured if _setting(row) == setting]
        sides = sorted({(_side(row), _size(row)) for row in panel})
        ax.set_title(', '.join(setting))
        ax.grid(alpha=0.3)
        if len(sides) == 1:
            drawn = ax.barh(
                [models.index(row['model']) for row in panel],
                [float(row[column]) for row in panel],
                color=[f'C{models.index(row["model"])}' for row in panel],
            )
            ax.bar_label(drawn, [f'{float(row[column]):.3g}' for row in panel], padding=2)
            ax.set_yticks(range(len(models)), [Path(model).stem for model in models])
            ax.invert_yaxis()
            ax.margins(x=0.12)
            ax.set_xlabel(f'{label}, images of {sides[0][1]} pixels')
            continue
        for i, model in enumerate(models):
            points = sorted(
                (_side(row), float(row[column])) for row in panel if row['model'] == model
            )
            if points:
                x, y = zip(*points, strict=True)
                ax.plot(x, y, f'C{i}', marker='o', ms=4, label=Path(model).stem)
        ax.set_xscale('log', base=2)
        ax.set_yscale('log')
        ax.set_xticks([side for side, _ in sides], [size for _, size in sides], rotation=45)
        ax.minorticks_off()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7), numticks=20))
        ax.yaxis.set_major_formatter('{x:g}')
        ax.set(xlabel='Image size (pixels)', ylabel=label)
        ax.legend(fontsize=9)
    figure.suptitle(f'{label}, {measured[0]["mode"]}')
    return figure


def bars(rows: Sequence[Row]) -> Figure | None:
    """Draw the time that each variant of a network takes beside the first, and milliseconds on it.

    Args:
        rows (Sequence[dict]): Lines of a result file, of one mode.

    Returns:
        Figure | None: A figure with a panel per image size and batch size; None if there is one
        variant only.
    """
    measured = [row for row in rows if row['status'] == 'ok' and row['ratio']]
    variants = list(dict.fromkeys(row['variant'] for row in measured))
    if len(variants) < 2:
        return None
    models = list(dict.fromkeys(row['model'] for row in measured))
    settings = list(dict.fromkeys((_size(row), row['batch_size']) for row in measured))
    figure, axes = plt.subplots(
        len(settings),
        1,
        figsize=(max(6.4, 0.5 * len(models) * len(variants)), 4.2 * len(settings)),
        squeeze=False,
        layout='constrained',
    )
    width = 0.85 / len(variants)
    for (size, batch), ax in zip(settings, axes[:, 0], strict=True):
        panel = [row for row in measured if (_size(row), row['batch_size']) == (size, batch)]
        for i, variant in enumerate(variants):
            of_variant = [row for row in panel if row['variant'] == variant]
            places = [models.index(row['model']) + (i + 0.5) * width for row in of_variant]
            heights = [1 / float(row['ratio']) for row in of_variant]
            drawn = ax.bar(places, heights, width, color=f'C{i}', label=variant)
            texts = [f'{float(row["ms_p50"]):.0f}' for row in of_variant]
            ax.bar_label(drawn, texts, fontsize=8, padding=1)
        ax.axhline(1, color='black', lw=0.8, zorder=0)
        ax.set_xticks([i + 0.425 for i in range(len(models))], [Path(m).stem for m in models])
        ax.margins(y=0.12)
        ax.grid(axis='y', alpha=0.3)
        ax.set_ylabel(f'Time / time of {variants[0]}')
        ax.set_title(f'{size} pixels, batch {batch}; on the bars: milliseconds')
        ax.legend(fontsize=9, ncols=min(4, len(variants)))
    return figure


def _setting(row: Row) -> tuple[str, ...]:
    return row['device'], row['variant'], f'batch {row["batch_size"]}'


def _side(row: Row) -> float:
    return math.sqrt(int(row['height']) * int(row['width']))


def _size(row: Row) -> str:
    square = row['height'] == row['width']
    return row['height'] if square else f'{row["height"]}x{row["width"]}'


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Machine, versions and date."""

    def values(name: str) -> str:
        return ', '.join(sorted({row[name] for row in rows}))

    facts = [
        ('machine', values('machine')),
        ('threads', values('threads')),
        ('measured on', values('date')),
        ('mmfreq', __version__),
        ('Python', platform.python_version()),
        ('torch of the results', values('torch')),
    ]
    installed = {name: found.version for found in metadata.distributions() if (name := found.name)}
    distributions = [name for _, *names, _ in STACK for name in names]
    return facts + [(name, installed[name]) for name in distributions if name in installed]


def _table_row(row: Row) -> dict[str, Any]:
    cells = []
    for name in COLUMNS:
        value = row[name]
        text = value
        if name == 'params' and value:
            text = f'{int(value) / 1e6:.2f}'
        elif name in ('spread', 'ratio_spread', 'dropped') and value:
            text = f'{float(value):.1%}'
        elif name not in TEXTS and '.' in value:
            text = f'{float(value):.3g}' if float(value) < 100 else f'{float(value):.0f}'
        cells.append((dict(value=value, text=text), dict(number=name not in TEXTS)))
    return dict(cells=cells, failed=row['status'] != 'ok')
