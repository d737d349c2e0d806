"""Where the data of a run are: ``--data-root``, and a check that they are there."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from mmfreq.utils.config_files import configs_folder
from mmfreq.utils.config_tree import as_list, find_data_sets, map_leaves

__all__ = ['as_arguments', 'check_data', 'set_data_root']

HOW_TO_GET_DATA = """\
  ADE20K: unpack ADEChallengeData2016.zip of the MIT scene parsing benchmark into data/ade
  COCO:   unpack train2017, val2017 and annotations of COCO 2017 into data/coco
  other places: give the folder with --data-root
  no data at hand: render a small set, then train on it with one of
    python {tools}/dataset_converters/render_mini_data.py data/mini
    ... --data-root data/mini/ADEChallengeData2016   (ADE20K configs)
    ... --data-root data/mini/coco                   (COCO configs)"""

UNTOUCHED = ('model', 'work_dir', 'load_from')  # paths, but none of data


def set_data_root(cfg: Config, data_roots: str | Sequence[str]) -> None:
    """Replace the data root everywhere in a config, also at the beginning of other paths.

    Args:
        cfg (Config): Config, changed in place.
        data_roots (str | Sequence[str]): New folder of the data, or ``OLD=NEW`` for each root of
            a config that has several.

    Raises:
        ValueError: If the config has no root, or several and it is not said which one is meant.
    """
    known: dict[str, list[str]] = {}
    for path, dataset in find_data_sets(cfg).items():
        if dataset.get('data_root'):
            known.setdefault(_plain(dataset['data_root']), []).append(f'{path}.data_root')
    if not known:
        raise ValueError(
            '--data-root: no data set of the config has a data_root; set its paths with '
            '--cfg-options train_dataloader.dataset....=PATH'
        )
    new_roots: dict[str, str] = {}
    for value in [data_roots] if isinstance(data_roots, str) else data_roots:
        old, _, new = value.partition('=')
        if not new or _plain(old) not in known:
            old, new = next(iter(known)), value
            if len(known) > 1:
                lines = [f'  {root} ({", ".join(keys)})' for root, keys in known.items()]
                raise ValueError(
                    f'--data-root {value}: the config has several roots, say which one is meant '
                    f'with --data-root {old}={value}, once for each:\n' + '\n'.join(lines)
                )
        new_roots[_plain(old)] = _plain(new)  # of several the last one counts, as for any option

    def replace(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        roots = [old for old in known if _plain(value) == old or value.startswith(f'{old}/')]
        root = max(roots, key=len, default='')  # of nested ones the one that is meant
        return new_roots[root] + value[len(root) :] if root in new_roots else value

    for key, part in cfg._cfg_dict.items():
        if key not in UNTOUCHED:
            cfg._cfg_dict[key] = map_leaves(part, replace)


def check_data(cfg: Config, splits: Sequence[str]) -> None:
    """Raise a ``FileNotFoundError`` with instructions if a folder or file of a data set is missing.

    Data sets that are downloaded or lie in other storages than local folders pass.

    Args:
        cfg (Config): Config of a run.
        splits (Sequence[str]): What the run reads, of ``'train'``, ``'val'`` and ``'test'``.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    for key, dataset in find_data_sets(cfg).items():
        if key.split('_')[0] not in splits:
            continue
        if dataset.get('backend_args') or _is_downloaded(dataset, scope):
            continue
        for part, path in _paths(dataset):
            if '://' not in path and not Path(path).exists():
                raise FileNotFoundError(
                    f'data not found: {path} does not exist, named by {key}.{part}\n'
                    f'{HOW_TO_GET_DATA.format(tools=_tools())}'
                )


def _tools() -> Path:
    """Folder of the scripts that are no commands: of the checkout, or in the package."""
    folder, here = configs_folder().with_name('tools'), Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _paths(dataset: dict) -> Iterator[tuple[str, str]]:
    """Paths of a data set with the parts of its config that name them."""
    root = dataset.get('data_root') or ''
    if root:
        yield 'data_root', root
    prefix = dataset.get('data_prefix') or {}
    prefixes = prefix if isinstance(prefix, dict) else dict(data_prefix=prefix)
    for name, value in prefixes.items():
        part = f'data_prefix.{name}' if isinstance(prefix, dict) else name
        for folder in as_list(value):
            if isinstance(folder, str) and folder:
                yield part, _join(root, folder)
    if isinstance(dataset.get('ann_file'), str) and dataset['ann_file']:
        yield 'ann_file', _join(root, dataset['ann_file'])


def _join(root: str, path: str) -> str:
    return path if '://' in path else str(Path(root) / path) if '://' not in root else root


def _is_downloaded(dataset: dict, scope: str) -> bool:
    """Whether the data set fetches its files itself, as those of mmpretrain for CIFAR do."""
    kind = dataset['type']
    with DATASETS.switch_scope_and_registry(scope) as registry:
        known = registry.get(kind) if isinstance(kind, str) else kind
    takes_it = inspect.isclass(known) and 'download' in inspect.signature(known).parameters
    return takes_it and bool(dataset.get('download', True))


def _plain(path: str) -> str:
    return path.rstrip('/') or path


def as_arguments(roots: Sequence[str]) -> list[str]:
    """Roots as they are given on a command line.

    Args:
        roots (Sequence[str]): As for :func:`set_data_root`.

    Returns:
        list[str]: ``--data-root`` and a root, for each.
    """
    return [part for root in roots for part in ('--data-root', root)]
