"""Measurements of the zoo: commands of this repository, and how each was made."""

import csv
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import yaml

from mmfreq.analysis.speed.plan import RIVALS
from mmfreq.analysis.speed.results import describe_machine
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.facts import MEASURED, measured_cost, measured_costs, provenance
from mmfreq.zoo import backbone_names

__all__ = ['MEASUREMENTS', 'measure', 'smallest_backbones']

NO_DATA = 'none; counts do not depend on what an image shows'
RANDOM = 'random images, random weights'
REFERENCE = 'gfnet-h-ti'  # ratios of speed are to it
DEPLOYED = ('gfnet-h-s', 'dfformer-s18', 'affnet-base', 'dsm-s')
# Which figures of a report the pages show.
FIGURES = {'resolution': '*.png', 'deployed': 'variants_*.png'}
GRAPHS = ('eager', 'compiled', 'exported', 'onnxruntime', 'openvino', 'int8', 'bf16')
WHOLE_MODELS = tuple(
    f'configs/{decoder}_{name}_ade20k.py'
    for name in ('gfnet_h_s', 'dfformer_s18')
    for decoder in ('fpn', 'upernet')
)


def smallest_backbones() -> list[str]:
    """The smallest backbone of each family in a dense config, the reference before the others.

    Returns:
        list[str]: Names, see :func:`mmfreq.zoo.backbone_names`.

    Raises:
        ValueError: If the parameters of one were not measured.
    """
    sources, known = Sources(), backbone_names()
    smallest: dict[str, tuple[int, str]] = {}
    for path in sources.configs:
        name = sources.backbone_of(path)
        if name in known and not sources.is_classifier(path):
            found = (int(measured_cost('backbones', name)['params']), name)
            family = sources.families[path]
            smallest[family] = min(smallest.get(family, found), found)
    return sorted((name for _, name in smallest.values()), key=lambda name: name != REFERENCE)


def _backbones() -> str:
    names = ' '.join(backbone_names())
    return f'tools/analysis_tools/get_flops.py --csv --backbone {names}'


def _families() -> str:
    names = ' '.join(smallest_backbones())
    return f'tools/benchmark.py {names} --sizes 512 --modes training --report work_dirs/families'


def _deployed() -> str:
    return (
        f'tools/benchmark.py {" ".join(DEPLOYED)} --sizes 512 '
        f'--variants {" ".join(GRAPHS)} --report work_dirs/deployed'
    )


def _compiled_training() -> str:
    return (
        f'tools/benchmark.py {" ".join(DEPLOYED)} --sizes 512 --modes training '
        '--variants eager compiled --report work_dirs/compiled_training'
    )


def _whole_models() -> str:
    return (
        f'tools/benchmark.py {" ".join(WHOLE_MODELS)} --sizes 512 '
        '--variants eager onnxruntime openvino --report work_dirs/whole_models'
    )


def _profiles() -> str:
    return (
        f'tools/analysis_tools/profile_network.py {" ".join(DEPLOYED)} --size 512 '
        '--variants eager compiled --csv'
    )


def _speed() -> str:
    names = ' '.join([*smallest_backbones(), *RIVALS])
    return (
        f'tools/benchmark.py {names} --sizes 224 512 --modes inference training '
        '--report work_dirs/speed'
    )


# What makes the command of each, and its data; the CSV file has the same name. Counts come first:
# they say which backbones are the smallest.
MEASUREMENTS: dict[str, tuple[Callable[[], str], str]] = dict(
    backbones=(_backbones, NO_DATA),
    configs=(lambda: 'tools/analysis_tools/get_flops.py --csv configs/*.py', NO_DATA),
    published=(lambda: 'tools/analysis_tools/compare_flops.py --csv', NO_DATA),
    speed=(_speed, RANDOM),
    families=(_families, RANDOM),
    deployed=(_deployed, RANDOM),
    deployed_fdconv=(
        lambda: (
            'tools/benchmark.py fdresnet-50 resnet-50 --sizes 512 --variants eager compiled '
            'onnxruntime --report work_dirs/deployed_fdconv'
        ),
        RANDOM,
    ),
    hornet_vheat=(
        lambda: (
            'tools/benchmark.py hornet-t-gf hornet-tiny-gf plain:vheat-tiny vheat-tiny gfnet-h-s '
            'convnext-t swin-t --sizes 512 --modes inference training '
            '--report work_dirs/hornet_vheat'
        ),
        RANDOM,
    ),
    deployed_hornet_vheat=(
        lambda: (
            'tools/benchmark.py hornet-tiny-gf vheat-tiny --sizes 512 --variants eager compiled '
            'onnxruntime openvino --report work_dirs/deployed_hornet_vheat'
        ),
        RANDOM,
    ),
    compiled_training=(_compiled_training, RANDOM),
    whole_models=(_whole_models, RANDOM),
    profiles=(_profiles, RANDOM),
    resolution=(
        lambda: (
            'tools/benchmark.py --preset resolution --modes inference training '
            '--report work_dirs/resolution'
        ),
        RANDOM,
    ),
)


def _output(command: str) -> str:
    """What a command of this repository prints."""
    shell = ['bash', '-c', f'{shlex.quote(sys.executable)} {command}']
    return subprocess.run(shell, stdout=subprocess.PIPE, text=True, check=True).stdout


def _add_missing(name: str) -> None:
    """Count backbones or configs that have no row yet."""
    if name not in ('backbones', 'configs'):
        raise ValueError(f'--missing is for backbones and configs, {name} is measured as a whole')
    counted = measured_costs(name)
    known = list(backbone_names())
    if name == 'configs':
        known = [str(path) for path in sorted(Path('configs').glob('*.py'))]
    new = [item for item in known if item not in counted]
    if new:
        option = '--backbone ' if name == 'backbones' else ''
        text = _output(f'tools/analysis_tools/get_flops.py --csv {option}{shlex.join(new)}')
        with (MEASURED / f'{name}.csv').open('a') as file:
            file.writelines(text.splitlines(keepends=True)[1:])
    print(f'{name}: {len(new)} counted, {len(counted)} were there', file=sys.stderr)


def measure(name: str, missing: bool = False) -> None:
    """Run a measurement, keep its numbers and note how it was done.

    Figures against resolution go to ``docs/images``.

    Args:
        name (str): One of :data:`MEASUREMENTS`.
        missing (bool): Whether to count only what has no row yet, of ``'backbones'`` or
            ``'configs'``, and to leave all else as it is. Defaults to False.

    Raises:
        ValueError: If it needs another measurement that is not there.
        CalledProcessError: If the command fails.
    """
    make_command, data = MEASUREMENTS[name]
    if missing:
        _add_missing(name)
        return
    command = make_command()
    print(f'$ python {command}'[:200], file=sys.stderr)
    written = Path('work_dirs', name, 'results.csv')  # of a benchmark
    written.unlink(missing_ok=True)
    text = _output(command)
    machine = 'any' if data == NO_DATA else describe_machine('cpu')
    if '--report' in command:
        text = written.read_text()
        if name in FIGURES:
            for figure in written.parent.glob(FIGURES[name]):
                shutil.copy(figure, 'docs/images')
        machine = next(csv.DictReader(text.splitlines()))['machine']
    (MEASURED / f'{name}.csv').write_text(text)
    notes = {
        **provenance(),
        name: dict(
            command=f'python {command}', data=data, machine=machine, date=date.today().isoformat()
        ),
    }
    (MEASURED / 'provenance.yml').write_text(yaml.safe_dump(notes, width=100))
