"""Tables of the model zoo in README and docs.

A table stands between the lines ``<!-- zoo: NAME -->`` and ``<!-- end of zoo -->`` of a page; what
is around them is left as it is.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmfreq.analysis.config_facts import decoder_of, family_of_type
from mmfreq.analysis.speed.results import share_dropped
from mmfreq.analysis.speed.scaling import HEADER, Cluster, rows_of
from mmfreq.analysis.zoo.comparisons import comparison_table, conditions_table, shift_table
from mmfreq.analysis.zoo.reproduction import reproduce_table
from mmfreq.analysis.zoo.sources import Sources, millions
from mmfreq.facts import MEASURED, measured_cost, measured_rows
from mmfreq.int8 import NO_LINEAR_LAYER
from mmfreq.registry import MODELS
from mmfreq.utils.config_tree import type_name
from mmfreq.utils.tables import markdown_table
from mmfreq.zoo import PEERS, backbone_names

__all__ = ['PAGES', 'fill', 'pages']

# Of each page of a family: folders of its networks in configs, and where their speed is measured.
FAMILIES: dict[str, tuple[tuple[str, ...], str]] = dict(
    gfnet=(('gfnet',), 'peers'),
    dfformer=(('dfformer', 'cdfformer', 'gfformer'), 'peers'),
    hornet=(('hornet',), 'hornet_vheat'),
    vheat=(('vheat',), 'hornet_vheat'),
    affnet=(('affnet',), 'peers'),
    fdconv=(('fdconv',), 'peers'),
    dsm=(('dsm',), 'peers'),
)
PAGES = tuple(
    map(
        Path,
        (
            *('README.md', 'docs/model_zoo.md', 'docs/flops.md', 'docs/benchmark.md'),
            *('docs/export.md', 'docs/scaling.md', 'docs/reproduce.md', 'docs/results.md'),
            *(f'docs/families/{name}.md' for name in FAMILIES),
        ),
    )
)


def pages(sources: Sources) -> dict[Path, str]:
    """All pages with tables.

    Args:
        sources (Sources): Where everything is from.

    Returns:
        dict[Path, str]: Content by path.

    Raises:
        ValueError: If a network or config was not measured.
    """
    return {page: fill(page.read_text(), sources) for page in PAGES}


def fill(text: str, sources: Sources) -> str:
    """Replace the tables of a page.

    Args:
        text (str): The page.
        sources (Sources): Where everything is from.

    Returns:
        str: The page with tables as they are now.
    """

    def table(match: re.Match) -> str:
        return f'<!-- zoo: {match[1]} -->\n{TABLES[match[1]](sources)}\n<!-- end of zoo -->'

    return re.sub(r'<!-- zoo: (\w+) -->\n.*?<!-- end of zoo -->', table, text, flags=re.DOTALL)


def backbone_table(sources: Sources, families: Sequence[str] = ()) -> str:
    """Backbones, all or those of some families, with their costs and published accuracies."""
    lines = []
    ours = _backbones(sources, families)
    for name, config in sorted(ours.items(), key=lambda item: item[1]['type']):
        cost = measured_cost('backbones', name)
        settings = MODELS.get(config['type']).arch_settings[config['arch']]
        built = sum(depth > 0 for depth in settings['depths'])  # AFFNet's last is a convolution
        lines.append(
            (
                f'`{config["type"]}`',
                f'`{config["arch"]}`',
                _joined(settings['embed_dims'][:built]),
                _joined(settings['depths'][:built]),
                millions(cost['params']),
                f'{int(cost["flops"]) / 1e9:.2f} G',
                ', '.join(str(result['value']) for result in sources.results_of(name)),
            )
        )
    header = (
        *('type', 'arch', 'width', 'blocks', 'parameters (measured)', 'FLOPs (measured)'),
        'ImageNet top-1 (published)',
    )
    read = {result['source'] for name in ours for result in sources.results_of(name)}
    at_256 = ' (AFFNet at 256x256)' if any(name.startswith('affnet') for name in ours) else ''
    published = f'\nTop-1 published: {"; ".join(sorted(read))}{at_256}.' if read else ''
    return (
        f'{markdown_table(lines, header)}\n\n'
        'Parameters and FLOPs (multiply-adds) of the backbone at 224x224, '
        f'{sources.note("backbones")}.{published}'
    )


def summary_table(sources: Sources) -> str:
    """A backbone of each family beside two that everybody knows: cost, speed, accuracy."""
    rows = measured_rows('peers')
    ratios = {(row['model'], row['mode']): f'{float(row["ratio"]):.2f}' for row in rows}
    lines = []
    for name in dict.fromkeys(row['model'] for row in rows):
        top_1 = [f'{result["value"]} [{result["source"]}]' for result in sources.results_of(name)]
        params = next(row['params'] for row in rows if row['model'] == name)
        speeds = [ratios[name, mode] for mode in ('inference', 'training')]
        lines.append((f'`{name}`', millions(params), *speeds, ', '.join(top_1)))
    reference = rows[0]['reference']
    header = (
        *(
            'backbone',
            f'parameters at {rows[0]["height"]}',
            f'inference / {reference}',
            f'training / {reference}',
        ),
        'ImageNet top-1, published',
    )
    return (
        f'{markdown_table(lines, header)}\n\n'
        f'Speed, times that of {reference}, one image of {rows[0]["height"]} x {rows[0]["width"]}, '
        f'fp32 on a CPU: {sources.note("peers")}.'
    )


def results_table(sources: Sources) -> str:
    """Published results of dense prediction."""
    lines = [
        (f'`{result["of"]}`', f'{result["value"]} {result["metric"]}', result['source'])
        for result in sources.published.results
        if result['metric'] != 'top-1'
    ]
    return markdown_table(lines, ('config', 'published for the original', 'source'))


def config_table(sources: Sources, families: Sequence[str] = (), root: str = '..') -> str:
    """Configs of segmentors and detectors with their costs and published results.

    Args:
        sources (Sources): Where everything is from.
        families (Sequence[str]): Those whose configs are listed. Defaults to all.
        root (str): Way from the page to the folder that has ``configs``. Defaults to ``'..'``.

    Returns:
        str: The table, and where its numbers are from.
    """
    lines = []
    for path, family in sources.families.items():
        if sources.is_classifier(path) or (families and family not in families):
            continue
        cost = sources.cost_of(path)
        published = ', '.join(
            f'{result["value"]} {result["metric"]} ({result["source"]})'
            for result in sources.results_of(path.stem)
        )
        lines.append(
            (
                f'[{path.stem}]({root}/{path})',
                cost['height x width'],
                millions(cost['params']),
                f'{int(cost["flops"]) / 1e9:.1f} G',
                published,
            )
        )
    header = (
        *('config', 'image', 'parameters (measured)', 'FLOPs (measured)'),
        'published for the original',
    )
    return (
        f'{markdown_table(lines, header)}\n\n'
        f'Parameters and FLOPs (multiply-adds of one image): {sources.note("configs")}.\n'
        'Converted and checked: none; no released checkpoint was within reach. Trained by us: none.'
    )


def classifier_table(sources: Sources) -> str:
    """Configs of classifiers with their costs, what was published, and what was reproduced."""
    files = {entry['of']: entry['url'] for entry in sources.published.weights}
    lines = []
    for path in filter(sources.is_classifier, sources.configs):
        cost = sources.cost_of(path)
        name = sources.backbone_of(path)
        results = sources.results_of(name)
        lines.append(
            (
                f'[{path.stem}](../{path})',
                cost['height x width'],
                millions(cost['params']),
                f'{int(cost["flops"]) / 1e9:.2f} G',
                ', '.join(str(result['value']) for result in results),
                f'[file]({files[name]})' if name in files else '',
                ', '.join(str(result.get('reproduced', '')) for result in results),
            )
        )
    header = (
        *('config', 'image', 'parameters (measured)', 'FLOPs (measured)'),
        *('top-1 (published)', 'released', 'top-1 (reproduced)'),
    )
    return (
        f'{markdown_table(lines, header)}\n\n'
        f'With the head; FLOPs in multiply-adds of one image: {sources.note("configs")}.'
    )


def task_table(sources: Sources) -> str:
    """The smallest config of each family for each task."""
    tasks = ('', 'UperNet', 'Semantic FPN', 'RetinaNet', 'Mask R-CNN')
    smallest: dict[tuple[str, str], tuple[int, Path]] = {}
    for path, family in sources.families.items():
        kind = (family, decoder_of(sources.configs[path]))
        found = (int(sources.cost_of(path)['params']), path)
        smallest[kind] = min(smallest.get(kind, found), found)
    lines = [
        (
            sources.published.families[family]['collection'],
            *(
                f'[{smallest[family, task][1].stem}](../{smallest[family, task][1]})'
                if (family, task) in smallest
                else ''
                for task in tasks
            ),
        )
        for family in sorted(set(sources.families.values()))
    ]
    return markdown_table(lines, ('family', 'ImageNet', *tasks[1:]))


def published_table(sources: Sources) -> str:
    """Our counts beside published ones."""
    rows = measured_rows('published')
    table = markdown_table([list(row.values()) for row in rows], list(rows[0]))
    return f'{table}\n\nOurs: {sources.note("published")}. Published: see the last column.'


def benchmark_table(sources: Sources, name: str, families: Sequence[str] = ()) -> str:
    """Speed and memory, as measured in one of the benchmarks.

    Args:
        sources (Sources): Where everything is from.
        name (str): The measurement.
        families (Sequence[str]): Those that are listed beside networks of others. Defaults to all.

    Returns:
        str: The table, and how it was measured.
    """
    rows = measured_rows(name)
    if families:
        listed = {*_backbones(sources, families), rows[0]['reference'], 'convnext-t', 'swin-t'}
        rows = [row for row in rows if row['model'].removeprefix('plain:') in listed]
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
                    _ratio(row, rows[0]['reference']),
                )
                if row['status'] == 'ok'
                else (row['status'], '', '', '', '', '')
            ),
        )
        for row in rows
    ]
    header = (
        *('backbone', 'mode', 'image', 'img/s', 'spread', 'p50 (ms)', 'p90 (ms)', 'memory (MiB)'),
        f'speed / {rows[0]["reference"]}',
    )
    return f'{markdown_table(lines, header)}\n\nBatch of one image, fp32; {sources.note(name)}.'


def variants_table(sources: Sources, name: str) -> str:
    """Milliseconds of each variant of each network, and their ratio to the first variant."""
    rows = measured_rows(name)
    variants = list(dict.fromkeys(row['variant'] for row in rows))
    lines = []
    for model in dict.fromkeys(row['model'] for row in rows):
        line = [f'`{model}`']
        for variant in variants:
            row = next(r for r in rows if (r['model'], r['variant']) == (model, variant))
            line.append(_time_beside_first(row))
        lines.append(line)
    disturbed = '; where there is a star, all steps had waited, and are counted'
    compared = any(row['error'] for row in rows)
    distance = f'behind them the distance of the outputs from {variants[0]} by their norms; '
    return (
        f'{markdown_table(lines, ("network", *variants))}\n\n'
        f'Milliseconds (median), in brackets times those of {variants[0]} (median over turns), '
        f'{distance if compared else ""}'
        f'{share_dropped(rows):.0%} of the steps waited for a CPU and were dropped'
        f'{disturbed if any(row["dropped"] == "1" for row in rows) else ""}. '
        f'One image, {rows[0]["mode"]}, {sources.note(name)}.'
    )


def _time_beside_first(row: Mapping[str, str]) -> str:
    if row['status'] != 'ok':
        return 'no' if row['status'] == NO_LINEAR_LAYER else row['status']
    time = f'{float(row["ms_p50"]):.0f}'
    if row['ratio']:
        time += f' ({1 / float(row["ratio"]):.2f})'
    if row['error']:
        time += f', {float(row["error"]):.0e}'
    return f'{time} *' if float(row['dropped']) == 1 else time


def profiles_table(sources: Sources, name: str) -> str:
    """The operators that take most of each network's time."""
    rows = measured_rows(name)
    lines = []
    for kind in dict.fromkeys((row['model'], row['variant']) for row in rows):
        found = [
            f'{row["operator"]} {float(row["ms"]):.0f} ({float(row["share"]):.0%})'
            for row in rows
            if (row['model'], row['variant']) == kind
        ]
        lines.append((f'`{kind[0]}`', kind[1], *found))
    header = ('network', 'variant', *map(str, range(1, 6)))
    return (
        f'{markdown_table(lines, header)}\n\n'
        'Operators of PyTorch with their own time, without that of operators that they call: '
        f'milliseconds and share of an inference. One image, {sources.note(name)}.'
    )


def scaling_table(sources: Sources) -> str:
    """Steps on many devices, calculated from those measured on one."""
    rows = rows_of(MEASURED / 'families.csv', (8, 64, 256, 1024), Cluster())
    note = sources.note('families')
    return f'{markdown_table(rows, HEADER)}\n\nCalculated from single steps, fp32; {note}.'


def checkpoint_table(_: Sources) -> str:
    """Files of others that each backbone reads as they are."""
    types = sorted(
        {config['type'] for name, config in backbone_names().items() if name not in PEERS}
    )
    lines = [(f'`{kind}`', MODELS.get(kind).checkpoints) for kind in types]
    return markdown_table(lines, ('type', 'reads besides checkpoints of this library'))


def family_tables(name: str) -> dict[str, Callable[[Sources], str]]:
    """Tables of a family's page, by their names there."""
    families, measurement = FAMILIES[name]
    return {
        f'{name}_networks': partial(backbone_table, families=families),
        f'{name}_configs': partial(config_table, families=families, root='../..'),
        f'{name}_speed': partial(benchmark_table, name=measurement, families=families),
    }


TABLES: dict[str, Callable[[Sources], str]] = dict(
    backbones=backbone_table,
    summary=summary_table,
    checkpoints=checkpoint_table,
    results=results_table,
    configs=config_table,
    classifiers=classifier_table,
    tasks=task_table,
    published=published_table,
    speed=partial(benchmark_table, name='speed'),
    hornet_vheat=partial(benchmark_table, name='hornet_vheat'),
    resolution=partial(benchmark_table, name='resolution'),
    scaling=scaling_table,
    deployed=partial(variants_table, name='deployed'),
    deployed_fdconv=partial(variants_table, name='deployed_fdconv'),
    deployed_hornet_vheat=partial(variants_table, name='deployed_hornet_vheat'),
    compiled_training=partial(variants_table, name='compiled_training'),
    whole_models=partial(variants_table, name='whole_models'),
    profiles_before=partial(profiles_table, name='profiles_before'),
    profiles=partial(profiles_table, name='profiles'),
    reproduce=reproduce_table,
    camvid=partial(comparison_table, name='camvid'),
    camvid_conditions=partial(conditions_table, name='camvid_conditions'),
    camvid_shift=partial(shift_table, name='camvid_shift'),
)
for _name in FAMILIES:
    TABLES |= family_tables(_name)


def _backbones(sources: Sources, families: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Our backbones by name, all or those of some families."""
    known = sources.published.families
    return {
        name: config
        for name, config in backbone_names().items()
        if name not in PEERS
        and (not families or family_of_type(type_name(config), known) in families)
    }


def _ratio(row: Mapping[str, str], reference: str) -> str:
    """Speed beside a reference, which is named where it is not that of the column."""
    other = '' if row['reference'] == reference else f' / `{row["reference"]}`'
    return f'{float(row["ratio"]):.2f}{other}'


def _joined(numbers: Iterable[int]) -> str:
    return '-'.join(map(str, numbers))
