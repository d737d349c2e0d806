"""List backbones, configs and released weights by name.

Parameters and FLOPs are measured by us at the size that published ones are given for; top-1 is
published by the authors.
"""

import argparse
from fnmatch import fnmatchcase

from tabulate import tabulate

from mmfreq.apis import list_backbones
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.facts import measured_costs, read_published
from mmfreq.utils.config_files import config_names
from mmfreq.utils.names import nearest

__all__ = ['main']

EXAMPLE = """\
  mmfreq list
  mmfreq list 'gf*'
  mmfreq list --configs '*gfnet_h_s*'
  mmfreq list --weights"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('pattern', nargs='?', default='*', help="such as 'gf*' (default: all)")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument('--configs', action='store_true', help='configs of whole models')
    kinds.add_argument(
        '--weights', action='store_true', help='where the weights of the authors are, by backbone'
    )
    return parser.parse_args()


def backbones(pattern: str) -> str:
    """Table of the backbones."""
    costs, published = measured_costs('backbones'), read_published()
    top = {row['of']: row['value'] for row in published.results if row['metric'] == 'top-1'}
    released = {row['of'] for row in published.weights}
    rows = []
    for name in list_backbones(pattern):
        cost = costs.get(name)
        params = f'{int(cost["params"]) / 1e6:.1f} M' if cost else ''
        flops = f'{float(cost["flops"]) / 1e9:.2f} G' if cost else ''
        rows.append((name, params, flops, top.get(name, ''), 'yes' if name in released else ''))
    if not rows:
        return ''
    heads = ('backbone', 'parameters', 'FLOPs at 224', 'top-1 (published)', 'released weights')
    return tabulate(rows, heads, disable_numparse=True)


def configs(pattern: str) -> str:
    """Names of the configs, a line each."""
    return '\n'.join(name for name in config_names() if fnmatchcase(name, pattern))


def weights(pattern: str) -> str:
    """Table of the weights of the authors."""
    rows = [
        (row['of'], row['licence'], row['table'], row['url'])
        for row in read_published().weights
        if fnmatchcase(row['of'], pattern)
    ]
    if not rows:
        return ''
    table = tabulate(rows, ('backbone', 'licence', 'belongs to', 'address'))
    return f'{table}\n\nThe addresses were not reachable from the machines that we test on.'


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        show = configs if args.configs else weights if args.weights else backbones
        found = show(args.pattern)
        if not found:
            kind = 'config' if args.configs else 'backbone'
            known = config_names() if args.configs else list_backbones()
            raise ValueError(
                f'no {kind} is called {args.pattern!r}{nearest(args.pattern, known)}; a pattern is '
                f"such as '{args.pattern}*', and --configs lists configs of whole models"
            )
        print(found)
