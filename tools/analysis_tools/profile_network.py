"""Show which operators take a network's time."""

import csv
import sys

import torch
from tabulate import tabulate

from mmfreq.analysis.speed.consumers import Consumer, largest_consumers
from mmfreq.analysis.speed.plan import check_variant
from mmfreq.analysis.speed.workloads import MODES, VARIANTS, Workload
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.utils.memory import keep_freed_memory

EXAMPLE = """\
  python tools/analysis_tools/profile_network.py gfnet-h-s dfformer-s18 --size 512
  python tools/analysis_tools/profile_network.py affnet-base --size 512 --mode training --top 10"""


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('models', nargs='+', metavar='MODEL', help='backbones by name and configs')
    parser.add_argument('--mode', choices=MODES, default='inference')
    parser.add_argument(
        '--variants',
        nargs='+',
        default=['eager'],
        help=f'of {", ".join(VARIANTS[:5])}; + combines them (default: eager)',
    )
    parser.add_argument('--size', type=int, default=224, help='of images in pixels (default: 224)')
    parser.add_argument('--top', type=int, default=5, help='operators to show (default: 5)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--csv', action='store_true', help='print comma-separated values')
    args = parser.parse_args()
    keep_freed_memory()
    rows: list[tuple] = []
    with errors_as_messages():
        for variant in args.variants:
            check_variant(variant)
        for model in args.models:
            for variant in args.variants:
                print(f'{model}, {variant}', file=sys.stderr)
                torch.compiler.reset()
                shape = (args.size, args.size)
                workload = Workload(model, args.mode, variant, args.device, shape, 1)
                found = largest_consumers(workload)[: args.top]
                rows += [(model, args.mode, variant, args.size, *row) for row in found]
    header = ('model', 'mode', 'variant', 'size', *Consumer._fields)
    if args.csv:
        csv.writer(sys.stdout, lineterminator='\n').writerows([header, *rows])
    else:
        print(tabulate(rows, header, floatfmt=('', '', '', '', '', '.1f', '.0%', '.0f')))


if __name__ == '__main__':
    main()
