"""What metafiles and tables are made of: configs, measurements and published facts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfreq.analysis.config_facts import family_of, metrics_of
from mmfreq.facts import measured_cost, provenance, read_published
from mmfreq.utils.config_tree import type_name
from mmfreq.zoo import model_settings

__all__ = ['Sources', 'millions']


class Sources:
    """Facts about configs and backbones, each from its one source.

    Args:
        paths (Sequence[Path], optional): Configs. Defaults to None: the files directly in
            ``configs``.

    Attributes:
        configs (dict[Path, Config]): Configs by path, in alphabetical order.
        families (dict[Path, str]): Family of each config.
        published (Published): What others published.
    """

    def __init__(self, paths: Sequence[Path] | None = None) -> None:
        self.published = read_published()
        paths = sorted(Path('configs').glob('*.py')) if paths is None else paths
        self.configs = {path: Config.fromfile(path) for path in paths}
        self.families = {
            path: family_of(config, self.published.families)
            for path, config in self.configs.items()
        }
        self._provenance = provenance()

    def cost_of(self, config: Path) -> dict[str, str]:
        """Measured parameters and operations of a config.

        Raises:
            ValueError: If it was not measured.
        """
        return measured_cost('configs', str(config))

    def results_of(self, name: str) -> list[dict[str, Any]]:
        """Published results of a config or backbone."""
        return [result for result in self.published.results if result['of'] == name]

    def is_classifier(self, config: Path) -> bool:
        """Whether a config is one of a classifier."""
        return metrics_of(self.configs[config])[0] == 'top-1'

    def results_of_config(self, config: Path) -> list[dict[str, Any]]:
        """Published results of a config; of a classifier those of its backbone."""
        if not self.is_classifier(config):
            return self.results_of(config.stem)
        return self.results_of(self.backbone_of(config))

    def backbone_of(self, config: Path) -> str:
        """Name of a config's backbone, such as ``'gfnet-h-s'``."""
        backbone = model_settings(self.configs[config])['backbone']
        variant = backbone.get('arch') or backbone.get('depth')
        return f'{type_name(backbone).lower()}-{variant}'

    def note(self, name: str) -> str:
        """How a measurement was made, in a sentence."""
        note = self._provenance[name]
        command = re.sub(r'(--backbone)( \S+){6,}', r'\1 ...', note['command'])
        machine = '' if note['machine'] == 'any' else f', {note["machine"]}'
        return f'measured by us: `{command}`, {note["date"]}{machine}, data: {note["data"]}'


def millions(params: str) -> str:
    """Parameters for a table: ``'25.6 M'``."""
    return f'{int(params) / 1e6:.1f} M'
