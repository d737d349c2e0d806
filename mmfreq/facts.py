"""Numbers of the model zoo: what we measured, and what others published.

``measured`` has a CSV file for each measurement, and ``provenance.yml`` with how each was made;
``published`` has a YAML file for each family of networks, named like its folder in ``configs``, and
one for networks to compare with. A new family brings a file; nothing else names it.
"""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = [
    'MEASURED',
    'Published',
    'measured_cost',
    'measured_costs',
    'measured_rows',
    'provenance',
    'read_published',
    'read_rows',
    'released_address',
]

MEASURED = Path(__file__).with_name('measured')
PUBLISHED = Path(__file__).with_name('published')
REMEASURE = 'run python tools/zoo/measure.py backbones configs'


class Published(NamedTuple):
    """What others published.

    Attributes:
        families (dict[str, dict]): Name, paper and repository of each family, by its folder.
        costs (list[dict]): Parameters and operations of networks, each with its source.
        results (list[dict]): Accuracies of configs and backbones, each with its source.
        weights (list[dict]): Files that authors released: of which backbone, address, licence, and
            where they say so.
    """

    families: dict[str, dict[str, Any]]
    costs: list[dict[str, Any]]
    results: list[dict[str, Any]]
    weights: list[dict[str, Any]]


def read_published() -> Published:
    """Read what others published.

    Returns:
        Published: Facts of all files, in alphabetical order of the files.
    """
    found = Published({}, [], [], [])
    for path in sorted(PUBLISHED.glob('*.yml')):
        content = yaml.safe_load(path.read_text())
        if 'family' in content:
            found.families[path.stem] = content['family']
        sources = content.get('sources', {})
        for cost in content.get('costs', []):
            found.costs.append({**cost, 'source': sources[cost['source']]})
        found.results.extend(content.get('results', []))
        found.weights.extend(content.get('weights', []))
    return found


def released_address(name: str) -> str:
    """Address of the weights that the authors of a backbone released.

    Args:
        name (str): Name of the backbone, such as ``'gfnet-h-s'``.

    Returns:
        str: The address.

    Raises:
        ValueError: If there are none; the message names the backbones that have some.
    """
    known = {entry['of']: str(entry['url']) for entry in read_published().weights}
    if name not in known:
        raise ValueError(
            f'no address of released weights of {name} is known, only of {", ".join(known)}; name '
            'a file, or leave checkpoint out for fresh weights'
        )
    return known[name]


def provenance() -> dict[str, dict[str, str]]:
    """How each measurement was made: command, date, machine and data by name."""
    return yaml.safe_load((MEASURED / 'provenance.yml').read_text())


def measured_rows(name: str) -> list[dict[str, str]]:
    """Lines of a measurement, such as ``'speed'``, by column."""
    return read_rows(MEASURED / f'{name}.csv')


def measured_costs(name: str) -> dict[str, dict[str, str]]:
    """Parameters and operations of whole networks.

    Args:
        name (str): ``'backbones'`` or ``'configs'``.

    Returns:
        dict[str, dict[str, str]]: Line of each backbone or config, by its name or path.
    """
    return {row['model']: row for row in measured_rows(name) if row['part'] == 'all'}


def measured_cost(name: str, model: str) -> dict[str, str]:
    """Parameters and operations of one network.

    Args:
        name (str): ``'backbones'`` or ``'configs'``.
        model (str): Name of the backbone, or path of the config.

    Returns:
        dict[str, str]: Its line of the CSV file.

    Raises:
        ValueError: If it was not measured; the message has the command that does it.
    """
    found = measured_costs(name).get(model)
    if found is None:
        raise ValueError(f'{model} is not in mmfreq/measured/{name}.csv; {REMEASURE}')
    return found


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file.

    Args:
        path (Path): The file, whose first line names the columns.

    Returns:
        list[dict[str, str]]: Lines by column.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}')
    with path.open(newline='') as file:
        return list(csv.DictReader(file))
