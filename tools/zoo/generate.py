"""Write the model zoo: metafiles, model-index.yml, and the tables of README and docs.

Everything comes from the configs, from what tools/zoo/measure.py measured, and from the published
facts in mmfreq/analysis/cost/published.yml. Tables stand between the lines `<!-- zoo: NAME -->` and
`<!-- end of zoo -->`; what is around them is left as it is.
"""

import csv
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config
from tabulate import tabulate

from mmfreq.analysis.cost.published import read_published
from mmfreq.analysis.speed.scaling import HEADER, Cluster, rows_of
from mmfreq.engine.command_line import make_parser
from mmfreq.registry import MODELS
from mmfreq.zoo import PEERS, backbone_names

EXAMPLE = """\
  python tools/zoo/generate.py
  python tools/zoo/generate.py --check    (changes nothing, fails if something is out of date)"""

MEASURED = Path('tools/zoo/measured')
PAGES = tuple(
    map(
        Path,
        ('README.md', 'docs/model_zoo.md', 'docs/flops.md', 'docs/benchmark.md', 'docs/scaling.md'),
    )
)
DECODERS = {
    'upernet': 'UperNet',
    'fpn': 'Semantic FPN',
    'deeplabv3': 'DeepLabV3',
    'retinanet': 'RetinaNet',
    'mask_rcnn': 'Mask R-CNN',
    'faster_rcnn': 'Faster R-CNN',
    'ssdlite': 'SSDLite',
}
TASKS = {
    'top-1': ('Image Classification', 'ImageNet-1k', 'Top 1 Accuracy'),
    'mIoU': ('Semantic Segmentation', 'ADE20K', 'mIoU'),
    'box AP': ('Object Detection', 'COCO', 'box AP'),
    'mask AP': ('Instance Segmentation', 'COCO', 'mask AP'),
}


class Zoo:
    """Facts about configs and backbones, each from its one source."""

    def __init__(self) -> None:
        self.facts = read_published()
        self.provenance = yaml.safe_load((MEASURED / 'provenance.yml').read_text())
        self.configs = sorted(Path('configs').glob('*.py'))
        self.config_costs = self._totals('configs')
        self.backbone_costs = self._totals('backbones')

    def rows(self, name: str) -> list[dict[str, str]]:
        """Lines of a measurement."""
        with (MEASURED / f'{name}.csv').open(newline='') as file:
            return list(csv.DictReader(file))

    def results_of(self, name: str) -> list[dict[str, Any]]:
        """Published results of a config or backbone."""
        return [result for result in self.facts['results'] if result['of'] == name]

    def note(self, name: str) -> str:
        """How a measurement was made, in a sentence."""
        note = self.provenance[name]
        command = re.sub(r'(--backbone)( \S+){6,}', r'\1 ...', note['command'])
        machine = '' if note['machine'] == 'any' else f', {note["machine"]}'
        return f'measured by us: `{command}`, {note["date"]}{machine}, data: {note["data"]}'

    def _totals(self, name: str) -> dict[str, dict[str, str]]:
        return {row['model']: row for row in self.rows(name) if row['part'] == 'all'}


def family_of(config: Path) -> str:
    """Folder name of a config's family: ``'dfformer'`` for ``fpn_dfformer_s18_ade20k.py``."""
    return re.sub(rf'^({"|".join(DECODERS)})_', '', config.stem).split('_')[0]


def metafile(zoo: Zoo, family: str) -> dict[str, Any]:
    """Content of a family's metafile, in OpenMMLab's format."""
    facts = zoo.facts['families'][family]
    collection = {
        'Name': facts['collection'],
        'Metadata': {'Architecture': [facts['title']]},
        'Paper': {'URL': f'https://arxiv.org/abs/{facts["arxiv"]}', 'Title': facts['title']},
        'README': 'docs/model_zoo.md',
        'Code': {'URL': f'https://github.com/{facts["code"]}'} if facts['code'] else {},
    }
    configs = [config for config in zoo.configs if family_of(config) == family]
    models = [config_entry(zoo, config, facts['collection']) for config in configs]
    return {
        'Collections': [{key: value for key, value in collection.items() if value}],
        'Models': models,
    }


def config_entry(zoo: Zoo, path: Path, collection: str) -> dict[str, Any]:
    """A config's entry in a metafile; numbers say whose they are."""
    config = Config.fromfile(path)
    cost = zoo.config_costs[str(path)]
    length = config.train_cfg.get('max_iters')
    decoder = next(name for name in DECODERS if path.stem.startswith(f'{name}_'))
    task = 'mIoU' if path.stem.endswith('ade20k') else 'box AP'
    metadata = {
        'Training Data': TASKS[task][1],
        'Batch Size': config.auto_scale_lr.base_batch_size,
        'Iterations' if length else 'Epochs': length or config.train_cfg.max_epochs,
        'Architecture': [collection, DECODERS[decoder]],
        'Parameters': int(cost['params']),
        'FLOPs': int(cost['flops']),
        'Input Size': cost['height x width'].replace(' ', ''),
        'Source of Parameters and FLOPs': zoo.note('configs'),
    }
    published = zoo.results_of(path.stem)
    results = [
        {
            'Task': TASKS[result['metric']][0],
            'Dataset': TASKS[result['metric']][1],
            'Metrics': {TASKS[result['metric']][2]: result['value']},
            'Source': f'published: {result["source"]}; not reproduced by us',
        }
        for result in published
    ] or [{'Task': TASKS[task][0], 'Dataset': TASKS[task][1], 'Metrics': {}}]
    return {
        'Name': path.stem,
        'In Collection': collection,
        'Config': str(path),
        'Metadata': metadata,
        'Results': results,
    }


def backbone_table(zoo: Zoo) -> str:
    """Backbones with their costs and published accuracies."""
    lines = []
    ours = {name: config for name, config in backbone_names().items() if name not in PEERS}
    for name, config in sorted(ours.items(), key=lambda item: item[1]['type']):
        cost = zoo.backbone_costs[name]
        network = MODELS.get(config['type'])
        choice = config.get('arch', config.get('depth'))
        settings = network.arch_settings[choice]
        widths, depths = ('as ResNet',), settings
        if isinstance(settings, dict):
            built = sum(depth > 0 for depth in settings['depths'])  # AFFNet's last is a convolution
            widths, depths = settings['embed_dims'][:built], settings['depths'][:built]
        lines.append(
            (
                f'`{config["type"]}`',
                f'`{choice}`',
                _joined(widths),
                _joined(depths),
                f'{int(cost["params"]) / 1e6:.1f} M',
                f'{int(cost["flops"]) / 1e9:.2f} G',
                ', '.join(str(result['value']) for result in zoo.results_of(name)),
            )
        )
    header = (
        *('type', 'arch or depth', 'width', 'blocks', 'parameters (measured)', 'FLOPs (measured)'),
        'ImageNet top-1 (published)',
    )
    sources = sorted(
        {result['source'] for result in zoo.facts['results'] if result['metric'] == 'top-1'}
    )
    return (
        f'{_table(lines, header)}\n\n'
        'Parameters and FLOPs (multiply-adds) of the backbone at 224x224, '
        f'{zoo.note("backbones")}.\n'
        f'Top-1 published: {"; ".join(sources)} (AFFNet at 256x256).'
    )


def results_table(zoo: Zoo) -> str:
    """Published results of dense prediction."""
    lines = [
        (f'`{result["of"]}`', f'{result["value"]} {result["metric"]}', result['source'])
        for result in zoo.facts['results']
        if result['metric'] != 'top-1'
    ]
    return _table(lines, ('config', 'published for the original', 'source'))


def config_table(zoo: Zoo) -> str:
    """All configs with their costs and published results."""
    lines = []
    for path in zoo.configs:
        cost = zoo.config_costs[str(path)]
        published = ', '.join(
            f'{result["value"]} {result["metric"]} ({result["source"]})'
            for result in zoo.results_of(path.stem)
        )
        lines.append(
            (
                f'[{path.stem}](../{path})',
                cost['height x width'],
                f'{int(cost["params"]) / 1e6:.1f} M',
                f'{int(cost["flops"]) / 1e9:.1f} G',
                published,
            )
        )
    header = (
        *('config', 'image', 'parameters (measured)', 'FLOPs (measured)'),
        'published for the original',
    )
    return (
        f'{_table(lines, header)}\n\n'
        f'Parameters and FLOPs (multiply-adds of one image): {zoo.note("configs")}.\n'
        'Converted and checked: none; no released checkpoint was within reach. Trained by us: none.'
    )


def published_table(zoo: Zoo) -> str:
    """Our counts beside published ones."""
    rows = zoo.rows('published')
    table = _table([list(row.values()) for row in rows], list(rows[0]))
    return f'{table}\n\nOurs: {zoo.note("published")}. Published: see the last column.'


def benchmark_table(zoo: Zoo, name: str) -> str:
    """Speed and memory, as measured in one of the benchmarks."""
    lines = [
        (
            row['model'],
            row['mode'],
            f'{row["height"]} x {row["width"]}',
            *(
                (
                    f'{float(row["img_per_s"]):.3g}',
                    f'{float(row["spread"]):.0%}',
                    f'{float(row["ms_p50"]):.0f}',
                    f'{float(row["ms_p90"]):.0f}',
                    f'{float(row["memory_mib"]):.0f}',
                    f'{float(row["ratio"]):.2f}',
                )
                if row['status'] == 'ok'
                else (row['status'], '', '', '', '', '')
            ),
        )
        for row in zoo.rows(name)
    ]
    reference = zoo.rows(name)[0]['reference']
    header = (
        *('backbone', 'mode', 'image', 'img/s', 'spread', 'p50 (ms)', 'p90 (ms)', 'memory (MiB)'),
        f'speed / {reference}',
    )
    return f'{_table(lines, header)}\n\nBatch of one image, fp32; {zoo.note(name)}.'


def scaling_table(zoo: Zoo) -> str:
    """Steps on many devices, calculated from those measured on one."""
    rows = rows_of(MEASURED / 'families.csv', (8, 64, 256, 1024), Cluster())
    return f'{_table(rows, HEADER)}\n\nCalculated from single steps, fp32; {zoo.note("families")}.'


TABLES: dict[str, Callable[[Zoo], str]] = dict(
    backbones=backbone_table,
    results=results_table,
    configs=config_table,
    published=published_table,
    speed=partial(benchmark_table, name='speed'),
    resolution=partial(benchmark_table, name='resolution'),
    scaling=scaling_table,
)


def _joined(numbers: Any) -> str:
    return '-'.join(map(str, numbers))


def _table(rows: Any, header: Any) -> str:
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)


def fill(text: str, zoo: Zoo) -> str:
    """Replace the tables of a page."""

    def table(match: re.Match) -> str:
        return f'<!-- zoo: {match[1]} -->\n{TABLES[match[1]](zoo)}\n<!-- end of zoo -->'

    return re.sub(r'<!-- zoo: (\w+) -->\n.*?<!-- end of zoo -->', table, text, flags=re.DOTALL)


def generate() -> dict[Path, str]:
    """Content of all files of the zoo."""
    zoo = Zoo()
    head = '# Written by tools/zoo/generate.py; change its sources instead.\n'
    files = {}
    paths = []
    for family in zoo.facts['families']:
        path = Path('configs', family, 'metafile.yml')
        paths.append(str(path))
        content = yaml.safe_dump(metafile(zoo, family), sort_keys=False, width=100)
        files[path] = head + content
    files[Path('model-index.yml')] = head + yaml.safe_dump({'Import': paths}, sort_keys=False)
    for page in PAGES:
        files[page] = fill(page.read_text(), zoo)
    return files


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('--check', action='store_true', help='only say what is out of date')
    args = parser.parse_args()
    stale = []
    for path, content in generate().items():
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
