"""Measure what the zoo shows as measured by us, and note how.

Runs commands of this repository and keeps what they print or write in tools/zoo/measured, with the
command, the date, the machine and the data in provenance.yml; figures against resolution go to
docs/images. Then run tools/zoo/generate.py.
"""

import csv
import shlex
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import yaml

from mmfreq.engine.command_line import make_parser
from mmfreq.zoo import backbone_names

FOLDER = Path(__file__).parent / 'measured'
NO_DATA = 'none; counts do not depend on what an image shows'
RANDOM = 'random images, random weights'
SPEED_MODELS = 'gfnet-h-ti dfformer-s18 affnet-et convnext-t swin-t'
FAMILIES = 'gfnet-h-ti dfformer-s18 cdfformer-s18 affnet-et dsm-s fdresnet-50'

EXAMPLE = """\
  python tools/zoo/measure.py backbones configs    (after a change of a network or a config)
  python tools/zoo/measure.py                      (all, about 35 minutes on two cores)"""


def measurements() -> dict[str, tuple[str, str]]:
    """Command and data of each measurement; its CSV file has the same name."""
    backbones = ' '.join(backbone_names())
    return dict(
        backbones=(f'tools/analysis_tools/get_flops.py --csv --backbone {backbones}', NO_DATA),
        configs=('tools/analysis_tools/get_flops.py --csv configs/*.py', NO_DATA),
        published=('tools/analysis_tools/compare_flops.py --csv', NO_DATA),
        speed=(
            f'tools/benchmark.py {SPEED_MODELS} --sizes 224 512 --modes inference training '
            '--report work_dirs/speed',
            RANDOM,
        ),
        families=(
            f'tools/benchmark.py {FAMILIES} --sizes 512 --modes training '
            '--report work_dirs/families',
            RANDOM,
        ),
        resolution=(
            'tools/benchmark.py --preset resolution --modes inference training '
            '--report work_dirs/resolution',
            RANDOM,
        ),
    )


def measure(name: str) -> None:
    """Run a measurement and note how it was done."""
    command, data = measurements()[name]
    print(f'$ python {command}'[:200], file=sys.stderr)
    written = Path('work_dirs', name, 'results.csv')  # of a benchmark
    written.unlink(missing_ok=True)
    shell = ['bash', '-c', f'{shlex.quote(sys.executable)} {command}']
    text = subprocess.run(shell, stdout=subprocess.PIPE, text=True, check=True).stdout
    machine = 'any'
    if '--report' in command:
        text = written.read_text()
        if name == 'resolution':
            for figure in written.parent.glob('*.png'):
                shutil.copy(figure, 'docs/images')
        machine = next(csv.DictReader(text.splitlines()))['machine']
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f'{name}.csv').write_text(text)
    notes = FOLDER / 'provenance.yml'
    known = yaml.safe_load(notes.read_text()) if notes.exists() else {}
    known[name] = dict(
        command=f'python {command}', data=data, machine=machine, date=date.today().isoformat()
    )
    notes.write_text(yaml.safe_dump(known, width=100))


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(measurements()))
    args = parser.parse_args()
    unknown = set(args.names) - set(measurements())
    if unknown:
        parser.error(f'there is no {", ".join(unknown)}; there are {", ".join(measurements())}')
    for name in args.names or measurements():
        measure(name)


if __name__ == '__main__':
    main()
