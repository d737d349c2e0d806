"""Write the model zoo: metafiles, model-index.yml, and the tables of README and docs.

Everything comes from the configs, from what tools/zoo/measure.py measured, and from the published
facts in mmfreq/published. Tables stand between the lines `<!-- zoo: NAME -->` and
`<!-- end of zoo -->`; what is around them is left as it is.
"""

import sys

from mmfreq.analysis.zoo.metafiles import metafiles
from mmfreq.analysis.zoo.pages import pages
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.engine.command_line import errors_as_messages, make_parser

EXAMPLE = """\
  python tools/zoo/generate.py
  python tools/zoo/generate.py --check    (changes nothing, fails if something is out of date)"""


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('--check', action='store_true', help='only say what is out of date')
    args = parser.parse_args()
    with errors_as_messages():
        sources = Sources()
        files = {**metafiles(sources), **pages(sources)}
    stale = []
    for path, content in files.items():
        if not path.exists() or path.read_text() != content:
            stale.append(str(path))
            if not args.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
    if args.check and stale:
        sys.exit(f'error: out of date: {", ".join(stale)}; run python tools/zoo/generate.py')
    print(f'{"written" if stale else "up to date"}: {", ".join(stale) or "all files"}')


if __name__ == '__main__':
    main()
