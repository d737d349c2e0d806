"""Confusion matrix of segmentors, detectors and classifiers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.evaluator import BaseMetric
from torch import Tensor
from torchvision.ops import box_iou

from mmfreq.registry import METRICS

__all__ = ['ConfusionMatrix', 'draw_confusion', 'match_boxes']

MAX_CLASSES = 30


@METRICS.register_module()
class ConfusionMatrix(BaseMetric):
    """Counts which class is taken for which, and draws it.

    Of a segmentor pixels are counted, of a classifier images. Of a detector boxes: each detection,
    by falling score, takes the box that it overlaps most among those not yet taken, whatever their
    classes; what remains on either side is counted as background, the last row and column.

    Args:
        out_file (str): Picture to be written; beside it a CSV file with the counts.
        score_thr (float): Detections below are left out. Defaults to 0.3.
        iou_thr (float): Overlap that a match needs. Defaults to 0.5.
        ignore_index (int): Label of pixels that do not count. Defaults to 255.
        collect_device (str): ``'cpu'`` or ``'gpu'``, for distributed tests. Defaults to ``'cpu'``.
        prefix (str, optional): Of the metric's name. Defaults to None.
    """

    default_prefix = 'confusion'

    def __init__(
        self,
        out_file: str,
        score_thr: float = 0.3,
        iou_thr: float = 0.5,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.out_file = Path(out_file)
        self.score_thr = score_thr
        self.iou_thr = iou_thr
        self.ignore_index = ignore_index
        self.unit = 'pixels'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Predictions with their ground truth.
        """
        classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            if 'pred_sem_seg' in sample:
                predicted = sample['pred_sem_seg']['data'].flatten().cpu()
                truth = sample['gt_sem_seg']['data'].flatten().cpu()
                counted = truth != self.ignore_index
                pairs = torch.stack([truth[counted], predicted[counted]])
                size = classes
            elif 'pred_label' in sample:
                pairs = torch.stack([sample['gt_label'], sample['pred_label']]).cpu()
                size, self.unit = classes, 'images'
            else:
                pairs = self._match(sample['gt_instances'], sample['pred_instances'], classes)
                size = classes + 1
                self.unit = f'boxes (score {self.score_thr}, IoU {self.iou_thr})'
            index = pairs[0].long() * size + pairs[1].long()
            self.results.append(torch.bincount(index, minlength=size**2).reshape(size, size))

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Draw the matrix of all batches.

        Args:
            results (list[Tensor]): Counts of each image.

        Returns:
            dict[str, float]: Share of the diagonal in all counts, in percent.
        """
        matrix = torch.stack(results).sum(0).numpy()
        classes = list(self.dataset_meta['classes'])
        if len(matrix) > len(classes):
            classes.append('background')
        self.out_file.parent.mkdir(parents=True, exist_ok=True)
        figure = draw_confusion(matrix, classes, f'Confusion of {self.unit}')
        figure.savefig(self.out_file, dpi=110)
        plt.close(figure)
        np.savetxt(
            self.out_file.with_suffix('.csv'),
            matrix,
            fmt='%d',
            delimiter=',',
            header=','.join(name.replace(',', ' ') for name in classes),
            comments='',
        )
        return dict(diagonal=100 * float(matrix.trace()) / max(int(matrix.sum()), 1))

    def _match(self, truth: dict, predicted: dict, background: int) -> Tensor:
        kept = predicted['scores'].cpu() >= self.score_thr
        boxes, labels, scores = (
            predicted[name].cpu()[kept] for name in ('bboxes', 'labels', 'scores')
        )
        true_boxes = getattr(truth['bboxes'], 'tensor', truth['bboxes']).cpu()  # mmdet's own type
        true_labels = truth['labels'].cpu()
        order = scores.argsort(descending=True, stable=True)
        matches = match_boxes(boxes[order], true_boxes, self.iou_thr)
        missed = sorted(set(range(len(true_labels))) - set(matches))
        pairs = [
            (int(true_labels[match]) if match >= 0 else background, int(label))
            for match, label in zip(matches, labels[order], strict=True)
        ]
        pairs += [(int(true_labels[i]), background) for i in missed]
        return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T


def match_boxes(boxes: Tensor, true_boxes: Tensor, iou_thr: float) -> list[int]:
    """Match boxes one to one, the first ones first.

    Args:
        boxes (Tensor): Detections by falling score, shape ``(N, 4)``.
        true_boxes (Tensor): Ground truth, shape ``(M, 4)``.
        iou_thr (float): Overlap that a match needs.

    Returns:
        list[int]: For each detection the number of its true box, or -1.
    """
    overlaps = box_iou(boxes.float(), true_boxes.float())
    matches = []
    for row in overlaps:
        best = int(row.argmax()) if row.numel() else -1
        if best >= 0 and row[best] >= iou_thr:
            overlaps[:, best] = -1
        else:
            best = -1
        matches.append(best)
    return matches


def draw_confusion(matrix: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Confusion matrix of the most frequent classes.

    Args:
        matrix (np.ndarray): Counts, a row per true and a column per predicted class, ``(N, N)``.
        classes (Sequence[str]): N names.
        title (str): Title of the figure.

    Returns:
        Figure: Shares of each row in percent, for at most 30 classes that occur.
    """
    counts = matrix.sum(axis=1)
    frequent = np.argsort(-counts, kind='stable')[:MAX_CLASSES]
    shown = sorted(i for i in frequent if counts[i] > 0 or matrix[:, i].sum() > 0)
    percent = 100 * matrix[np.ix_(shown, shown)] / np.maximum(counts[shown, None], 1)
    names = [classes[i] for i in shown]
    side = 2.5 + 0.42 * len(shown)
    figure, ax = plt.subplots(figsize=(side + 1, side), layout='constrained')
    image = ax.imshow(percent, vmin=0, vmax=100, cmap='Blues')
    ax.set_xticks(range(len(names)), names, rotation=60, ha='right', rotation_mode='anchor')
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel='prediction', ylabel='truth', title=title)
    for row, values in enumerate(percent):
        for column, value in enumerate(values):
            if value >= 1:
                colour = 'white' if value > 55 else 'black'
                ax.text(column, row, f'{value:.0f}', ha='center', va='center', size=8, color=colour)
    figure.colorbar(image, ax=ax, label='percent of the truth', shrink=0.7)
    return figure
