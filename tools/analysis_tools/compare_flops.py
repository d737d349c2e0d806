"""Count the models whose parameters and operations were published, and print both side by side."""

import contextlib
import csv
import sys

from tabulate import tabulate
from tqdm import tqdm

from mmfreq.analysis.cost.published import compare
from mmfreq.engine.command_line import make_parser
from mmfreq.facts import read_published

EXAMPLE = """\
  python tools/analysis_tools/compare_flops.py"""

HEADER = (
    *('model', 'image size', 'params', 'published params', 'G multiply-adds', 'published G'),
    *('difference', 'beyond rounding', 'source'),
)


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('--csv', action='store_true', help='print comma-separated values')
    args = parser.parse_args()
    rows = []
    with contextlib.redirect_stdout(sys.stderr):  # libraries print when they are imported
        for entry in tqdm(read_published().costs, unit='model'):
            found = compare(entry)
            rows.append(
                (
                    found.name,
                    ' x '.join(map(str, found.shape)),
                    str(found.params),
                    str(found.published_params or ''),
                    f'{found.flops / 1e9:.3f}',
                    found.published_flops,
                    f'{found.difference:+.1%}',
                    f'{found.beyond_rounding:+.1%}',
                    found.source,
                )
            )
    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator='\n')
        writer.writerows([HEADER, *rows])
    else:
        print(tabulate(rows, HEADER, disable_numparse=True))


if __name__ == '__main__':
    main()
