"""Metafiles in OpenMMLab's format, which its tools find models and their results by."""

from pathlib import Path
from typing import Any

import yaml

from mmfreq.analysis.config_facts import METRICS, data_set_of, decoder_of, metrics_of
from mmfreq.analysis.zoo.sources import Sources

__all__ = ['HEAD', 'config_entry', 'metafile', 'metafiles']

HEAD = '# Written by tools/zoo/generate.py; change its sources instead.\n'


def metafiles(sources: Sources) -> dict[Path, str]:
    """Metafiles of all families that have a config, and the index of them.

    Args:
        sources (Sources): Where everything is from.

    Returns:
        dict[Path, str]: Content by path.

    Raises:
        ValueError: If a family has no file of facts, or a config was not measured.
    """
    files = {}
    for family in sorted(set(sources.families.values())):
        content = yaml.safe_dump(metafile(sources, family), sort_keys=False, width=100)
        files[Path('configs', family, 'metafile.yml')] = HEAD + content
    index = {'Import': [str(path) for path in files]}
    return {**files, Path('model-index.yml'): HEAD + yaml.safe_dump(index, sort_keys=False)}


def metafile(sources: Sources, family: str) -> dict[str, Any]:
    """Content of a family's metafile.

    Args:
        sources (Sources): Where everything is from.
        family (str): Folder name of the family.

    Returns:
        dict: The collection and its models.

    Raises:
        ValueError: If the family has no file of facts, or a config was not measured.
    """
    paths = [path for path, name in sources.families.items() if name == family]
    facts = sources.published.families.get(family)
    if facts is None:
        raise ValueError(
            f'{paths[0]} has a backbone of the family {family}, and there is no '
            f'mmfreq/published/{family}.yml; write it as docs/model_zoo.md says'
        )
    absent = [key for key in ('collection', 'title', 'arxiv', 'code') if key not in facts]
    if absent:
        raise ValueError(
            f'family in mmfreq/published/{family}.yml has no {", ".join(absent)}; '
            'write null if there is none'
        )
    collection = {
        'Name': facts['collection'],
        'Metadata': {'Architecture': [facts['title']]},
        'Paper': {**_paper(facts), 'Title': facts['title']},
        'README': 'docs/model_zoo.md',
        'Code': {'URL': f'https://github.com/{facts["code"]}'} if facts['code'] else {},
    }
    return {
        'Collections': [{key: value for key, value in collection.items() if value}],
        'Models': [config_entry(sources, path, facts['collection']) for path in paths],
    }


def _paper(facts: dict[str, Any]) -> dict[str, str]:
    return {'URL': f'https://arxiv.org/abs/{facts["arxiv"]}'} if facts['arxiv'] else {}


def config_entry(sources: Sources, path: Path, collection: str) -> dict[str, Any]:
    """A config's entry in a metafile; numbers say whose they are.

    Args:
        sources (Sources): Where everything is from.
        path (Path): The config.
        collection (str): Name of the family.

    Returns:
        dict: The entry.

    Raises:
        ValueError: If the config was not measured.
    """
    config = sources.configs[path]
    cost = sources.cost_of(path)
    iterations = config.train_cfg.get('max_iters')
    metadata = {
        'Training Data': data_set_of(config, 'train'),
        'Batch Size': config.get('auto_scale_lr', {}).get('base_batch_size'),
        'Iterations': iterations,
        'Epochs': None if iterations else config.train_cfg.get('max_epochs'),
        'Architecture': [name for name in (collection, decoder_of(config)) if name],
        'Parameters': int(cost['params']),
        'FLOPs': int(cost['flops']),
        'Input Size': cost['height x width'].replace(' ', ''),
        'Source of Parameters and FLOPs': sources.note('configs'),
    }
    data_set = data_set_of(config)
    results = [
        {
            'Task': METRICS[result['metric']].task,
            'Dataset': data_set,
            'Metrics': {METRICS[result['metric']].name: result['value']},
            'Source': f'published: {result["source"]}; not reproduced by us',
        }
        for result in sources.results_of_config(path)
    ]
    main_task = METRICS[metrics_of(config)[0]].task
    return {
        'Name': path.stem,
        'In Collection': collection,
        'Config': str(path),
        'Metadata': {key: value for key, value in metadata.items() if value is not None},
        'Results': results or [{'Task': main_task, 'Dataset': data_set, 'Metrics': {}}],
    }
