"""Our counts beside those that papers and repositories published."""

from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import nn

from mmfreq.analysis.cost.flops import count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.zoo import build_model

__all__ = ['Comparison', 'build_published', 'compare']


class Comparison(NamedTuple):
    """A published cost and ours.

    Attributes:
        name (str): Model.
        source (str): Where the published numbers are from.
        shape (tuple[int, int]): Image size ``(H, W)`` in pixels.
        published_params (int, optional): Parameters, None if not published for just this model.
        params (int): Parameters of ours.
        published_flops (str): Operations in 1e9, with the digits of the source.
        flops (int): Operations counted by us.
    """

    name: str
    source: str
    shape: tuple[int, int]
    published_params: int | None
    params: int
    published_flops: str
    flops: int

    @property
    def difference(self) -> float:
        """Ours against the published operations, 0.01 for one percent more."""
        return self.flops / 1e9 / float(self.published_flops) - 1

    @property
    def beyond_rounding(self) -> float:
        """Ours against the nearest number that the source would print as it does."""
        digits = len(self.published_flops.partition('.')[2])
        value, half = float(self.published_flops), 0.5 * 10**-digits
        ours = self.flops / 1e9
        return ours / min(max(ours, value - half), value + half) - 1


def build_published(row: dict[str, Any]) -> nn.Module:
    """Build the model of a published cost.

    Args:
        row (dict): An entry of :attr:`mmfreq.facts.Published.costs`.

    Returns:
        nn.Module: The model, called with images.
    """
    if 'config' in row:
        config = Config.fromfile(row['config'])
    elif 'base' in row:
        config = Config.fromfile(row['base'])
        heads = dict(
            decode_head=dict(in_channels=row['channels']),
            auxiliary_head=dict(in_channels=row['channels'][2]),
        )
        config.merge_from_dict(dict(model=dict(backbone=row['backbone'], **heads)))
    else:
        head = dict(type='LinearClsHead', num_classes=1000, in_channels=row['channels'])
        neck = dict(type='GlobalAveragePooling') if row.get('pool', True) else None
        model = dict(type='ImageClassifier', backbone=row['backbone'], neck=neck, head=head)
        config = Config(dict(default_scope='mmpretrain', model=model))
    return WholeNetwork(build_model(config))


def compare(row: dict[str, Any]) -> Comparison:
    """Count what an entry of published costs states, by the papers' convention."""
    network = build_published(row)
    height, width = row['shape']
    cost = count_cost(network, torch.zeros(1, 3, height, width), CONVENTIONS['paper'])
    assert not cost.uncounted
    return Comparison(
        row['name'],
        row['source'],
        (height, width),
        row.get('params'),
        cost.params,
        row['flops'],
        cost.flops,
    )
