"""A command for each published result, made from the config that stands for it."""

from difflib import get_close_matches
from pathlib import Path

from mmfreq.analysis.config_facts import data_set_of
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.registry import MODELS
from mmfreq.utils.config_tree import dicts_in, type_name
from mmfreq.utils.tables import markdown_table
from mmfreq.zoo import PEERS, backbone_names, model_settings

__all__ = ['command_for', 'reproduce_table']

DATA_ROOTS = {
    'ADE20K': '/data/ADEChallengeData2016',
    'COCO': '/data/coco',
    'ImageNet-1k': '/data/imagenet',
}
HEADER = ('result of', 'published', 'command', 'file', 'source')


def reproduce_table(sources: Sources) -> str:
    """Published results with the command that checks or reproduces each.

    Args:
        sources (Sources): Where everything is from.

    Returns:
        str: A row for each network and each of its sources.
    """
    released = {entry['of']: entry['url'] for entry in sources.published.weights}
    rows: dict[tuple[str, str], list[str]] = {}
    for result in sources.published.results:
        if result['of'] not in PEERS:
            found = rows.setdefault((result['of'], result['source']), [])
            found.append(f'{result["value"]} {result["metric"]}')
    lines = [
        (
            f'`{name}`',
            ', '.join(values),
            f'`{command_for(name, sources)}`',
            f'[file]({released[name]})' if name in released else '',
            source,
        )
        for (name, source), values in sorted(rows.items())
    ]
    return markdown_table(lines, HEADER)


def command_for(name: str, sources: Sources) -> str:
    """The command for a published result.

    Args:
        name (str): A backbone, whose released classifier is tested if there is one, or a config,
            which is trained on as many GPUs as its learning rate is made for.
        sources (Sources): Where everything is from.

    Returns:
        str: The command. ``FILE`` in it is the released file, or one of ImageNet to start from.
    """
    path = Path('configs') / f'{name}.py'
    options = []
    if path not in sources.configs:
        backbone = backbone_names()[name]
        path, same = _classifier_of(name, sources)
        if not same:
            options = [f'--cfg-options model.backbone.arch={backbone["arch"]}']
        if name in {entry['of'] for entry in sources.published.weights}:
            return ' '.join((f'mmfreq test {path.stem} FILE', _data_root(path, sources), *options))
    config = sources.configs[path]
    whole = config.auto_scale_lr.base_batch_size
    gpus = whole // config.train_dataloader.batch_size
    if path.stem == name and not _starts_from_weights(path, sources):
        options = ['--pretrained FILE', *options]
    head = f'bash tools/dist_train.sh {path} {gpus}'
    return ' '.join((head, _data_root(path, sources), *options))


def _classifier_of(name: str, sources: Sources) -> tuple[Path, bool]:
    """Config of a backbone's classifier, else of the most similar one of the class; which it is."""
    kind = MODELS.get(backbone_names()[name]['type']).__name__
    found = {
        sources.backbone_of(path): path
        for path, config in sources.configs.items()
        if sources.is_classifier(path) and type_name(model_settings(config)['backbone']) == kind
    }
    if not found:
        raise ValueError(f'{name} has a published result, but there is no config of a classifier')
    (nearest,) = get_close_matches(name, found, n=1, cutoff=0)
    return found.get(name, found[nearest]), name in found


def _data_root(path: Path, sources: Sources) -> str:
    return f'--data-root {DATA_ROOTS[data_set_of(sources.configs[path])]}'


def _starts_from_weights(path: Path, sources: Sources) -> bool:
    found = dicts_in(sources.configs[path].model, 'model')
    return any(node.get('type') == 'Pretrained' for _, node in found)
