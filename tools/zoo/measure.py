"""Measure what the zoo shows as measured by us, and note how.

Runs commands of this repository and keeps what they print or write in mmfreq/measured, with the
command, the date, the machine and the data in provenance.yml; figures against resolution go to
docs/images. Then run tools/zoo/generate.py.
"""

from mmfreq.analysis.zoo.measurements import MEASUREMENTS, measure
from mmfreq.engine.command_line import errors_as_messages, make_parser

EXAMPLE = """\
  python tools/zoo/measure.py backbones configs --missing    (new backbones and configs)
  python tools/zoo/measure.py backbones configs    (after a change of networks; half an hour)
  python tools/zoo/measure.py                      (all, which takes long)"""


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(MEASUREMENTS))
    parser.add_argument(
        '--missing',
        action='store_true',
        help='count only backbones and configs that have no row yet; the others stay as they are',
    )
    args = parser.parse_args()
    unknown = set(args.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f'there is no {", ".join(unknown)}; there are {", ".join(MEASUREMENTS)}')
    with errors_as_messages():
        for name in args.names or MEASUREMENTS:
            measure(name, args.missing)


if __name__ == '__main__':
    main()
