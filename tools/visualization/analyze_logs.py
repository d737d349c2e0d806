"""Draw curves of losses and metrics from the logs of one or several runs."""

import argparse
import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mmfreq.engine.command_line import errors_as_messages, make_parser

EXAMPLE = """\
  python tools/visualization/analyze_logs.py work_dirs/a work_dirs/b --keys loss mIoU
  python tools/visualization/analyze_logs.py work_dirs/retinanet --keys 'loss.*' coco/bbox_mAP lr"""

Series = tuple[list[float], list[float]]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('work_dirs', nargs='+', help='folders of runs, or scalars.json files')
    parser.add_argument(
        '--keys',
        nargs='+',
        default=['loss'],
        help='what to draw, a panel each; regular expressions (default: loss)',
    )
    parser.add_argument(
        '--out', default='work_dirs/curves.png', help='default: work_dirs/curves.png'
    )
    return parser.parse_args()


def read_run(path: Path) -> dict[str, Series]:
    """Read what MMEngine logged in a run, started anew or resumed.

    Args:
        path (Path): Folder of the run, or one ``scalars.json``.

    Returns:
        dict[str, tuple[list, list]]: Steps and values by key. Where a run was resumed at an earlier
        step, the later part counts.

    Raises:
        FileNotFoundError: If there is no log.
    """
    files = [path] if path.is_file() else sorted(path.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{path} has no log: */vis_data/scalars.json')
    found: dict[str, dict[float, float]] = {}
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                print(f'{file}, line {number}: not a whole entry, left out', file=sys.stderr)
                continue
            step = entry.get('iter', entry.get('step'))
            for key, value in entry.items():
                if isinstance(value, (int, float)) and step is not None:
                    found.setdefault(key, {})[step] = value
    return {key: _sorted(series) for key, series in found.items()}


def _sorted(series: dict[float, float]) -> Series:
    steps = sorted(series)
    return steps, [series[step] for step in steps]


def draw(runs: dict[str, dict[str, Series]], patterns: list[str]) -> Figure:
    """Draw a panel per pattern with the matching keys of all runs.

    Raises:
        ValueError: If a pattern matches nothing.
    """
    figure, axes = plt.subplots(
        1, len(patterns), figsize=(5.4 * len(patterns), 4), squeeze=False, layout='constrained'
    )
    known = sorted({key for run in runs.values() for key in run})
    for pattern, ax in zip(patterns, axes[0], strict=True):
        keys = [key for key in known if re.fullmatch(pattern, key)]
        if not keys:
            raise ValueError(f'no log has {pattern}; there are {", ".join(known)}')
        for name, run in runs.items():
            for key in keys:
                if key in run:
                    label = name if len(keys) == 1 else f'{name}: {key}'
                    marker = '.' if len(run[key][0]) > 1 else 'o'
                    ax.plot(*run[key], marker=marker, label=label)
        ax.set(
            xlabel='iteration (metrics of epoch-based runs: epoch)', ylabel=pattern, title=pattern
        )
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    return figure


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        runs = {path: read_run(Path(path)) for path in args.work_dirs}
        figure = draw(runs, args.keys)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


if __name__ == '__main__':
    main()
