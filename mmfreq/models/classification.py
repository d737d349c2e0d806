"""Heads of classifiers; needs mmpretrain, so configs name this module in ``custom_imports``.

Each knows the names that its parameters have in the files of the originals' authors, so that
:func:`mmfreq.models.pretrained.load_whole` takes such files whole.
"""

from typing import Any, ClassVar

from mmpretrain.models.heads import ClsHead
from mmpretrain.models.heads import LinearClsHead as MMPretrainLinearClsHead
from torch import Tensor, nn

from mmfreq.registry import MODELS

__all__ = ['LinearClsHead', 'MlpClsHead', 'NormLinearClsHead']


@MODELS.register_module()
class LinearClsHead(MMPretrainLinearClsHead):
    """mmpretrain's linear head, behind dropout: of GFNet, AFFNet, FDResNet and vHeat.

    Args:
        dropout (float): Probability. Defaults to 0.
        **options: As in mmpretrain: ``num_classes``, ``in_channels``, ``loss``, ``topk``, ...
    """

    # In files of GFNet, of AFFNet, of vHeat, and of ResNets.
    released_names: ClassVar[list[tuple[str, str]]] = [
        (r'^(head|classifier\.fc|classifier\.3|fc)\.', 'fc.')
    ]

    def __init__(self, *, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Features ``(B, C)`` before the last layer, from those of each output."""
        return self.dropout(feats[-1])


@MODELS.register_module()
class NormLinearClsHead(LinearClsHead):
    """A norm of the pooled features before the linear layer: HorNet's head.

    Args:
        **options: See :class:`LinearClsHead`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm = nn.LayerNorm(self.in_channels, eps=1e-6)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Features ``(B, C)`` before the last layer, from those of each output."""
        return self.dropout(self.norm(feats[-1]))


@MODELS.register_module()
class MlpClsHead(ClsHead):
    """A norm, a hidden layer with squared ReLU and norm, and a linear layer: DFFormer's head.

    After ``models/dfformer.py`` of okojoalg/dfformer, which has it from MetaFormer's baselines.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Number of channels of the features.
        mlp_ratio (int): Hidden channels per channel. Defaults to 4.
        init_cfg (dict): Initialisation. Defaults to that of the backbones.
        **options: As in mmpretrain: ``loss``, ``topk``, ``cal_acc``.
    """

    released_names: ClassVar[list[tuple[str, str]]] = [
        (r'^head\.norm\.', 'hidden_norm.'),
        (r'^head\.fc1\.', 'hidden.'),
        (r'^head\.fc2\.', 'fc.'),
    ]

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        mlp_ratio: int = 4,
        init_cfg: dict | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            init_cfg=init_cfg or dict(type='TruncNormal', layer='Linear', std=0.02), **options
        )
        self.num_classes, self.in_channels = num_classes, in_channels
        self.norm = nn.LayerNorm(in_channels, eps=1e-6)
        self.hidden = nn.Linear(in_channels, mlp_ratio * in_channels)
        self.hidden_norm = nn.LayerNorm(mlp_ratio * in_channels)
        self.fc = nn.Linear(mlp_ratio * in_channels, num_classes)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Features ``(B, 4 * C)`` before the last layer, from those ``(B, C)`` of each output."""
        return self.hidden_norm(self.hidden(self.norm(feats[-1])).relu().square())

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Logits ``(B, num_classes)`` from features ``(B, C)`` of each output."""
        return self.fc(self.pre_logits(feats))
