"""Predict step times and communication on many devices from a benchmark of one.

This is a model, not a measurement. Its input is a CSV of tools/benchmark.py with training steps;
mmfreq/analysis/speed/scaling.py says what it takes into account.
"""

import csv
import sys

from tabulate import tabulate

from mmfreq.analysis.speed.scaling import HEADER, Cluster, rows_of
from mmfreq.engine.command_line import errors_as_messages, make_parser

EXAMPLE = """\
  python tools/benchmark.py gfnet-h-s dfformer-s18 --modes training --sizes 512 --batch-sizes 2 \\
      --devices cuda:0 --out speed.csv
  python tools/analysis_tools/scaling.py speed.csv --gpus 8 64 512 --between 50"""


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('results', help='CSV of tools/benchmark.py')
    default = Cluster()
    parser.add_argument(
        '--gpus', type=int, nargs='+', default=[8, 32, 128, 1024], help='default: 8 32 128 1024'
    )
    parser.add_argument('--per-node', type=int, default=default.per_node, help='default: 8')
    parser.add_argument(
        '--within', type=float, default=default.within / 1e9, help='GB/s in a node (default: 150)'
    )
    parser.add_argument(
        '--between', type=float, default=default.between / 1e9, help='GB/s per GPU (default: 25)'
    )
    parser.add_argument(
        '--latency', type=float, default=default.latency * 1e6, help='microseconds (default: 10)'
    )
    parser.add_argument(
        '--sync-norms', type=int, default=0, help='norms that synchronise (default: 0)'
    )
    parser.add_argument('--csv', action='store_true', help='print comma-separated values')
    args = parser.parse_args()
    cluster = Cluster(args.per_node, args.within * 1e9, args.between * 1e9, args.latency / 1e6)
    with errors_as_messages():
        rows = rows_of(args.results, args.gpus, cluster, args.sync_norms)
    if args.csv:
        csv.writer(sys.stdout, lineterminator='\n').writerows([HEADER, *rows])
    else:
        print('a model, not a measurement:')
        print(tabulate(rows, HEADER, disable_numparse=True))


if __name__ == '__main__':
    main()
