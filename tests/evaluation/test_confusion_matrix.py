import cv2
import numpy as np
import pytest
import torch

from mmfreq.evaluation import ConfusionMatrix
from mmfreq.evaluation.confusion_matrix import match_boxes
from mmfreq.registry import METRICS


@pytest.fixture
def metric(tmp_path):
    metric = METRICS.build(dict(type='mmfreq.ConfusionMatrix', out_file=str(tmp_path / 'c.png')))
    metric.dataset_meta = dict(classes=('sky', 'road', 'tree, palm'))
    assert isinstance(metric, ConfusionMatrix)
    return metric


def counts(metric):
    return np.loadtxt(metric.out_file.with_suffix('.csv'), delimiter=',', skiprows=1, dtype=int)


def test_pixels(metric):
    truth = torch.tensor([[[0, 0, 1], [1, 2, 255]]])
    predicted = torch.tensor([[[0, 1, 1], [1, 0, 2]]])
    for _ in range(2):
        sample = dict(pred_sem_seg=dict(data=predicted), gt_sem_seg=dict(data=truth))
        metric.process(None, [sample])
    assert metric.evaluate(2) == {'confusion/diagonal': pytest.approx(60)}
    assert counts(metric).tolist() == [[2, 2, 0], [0, 4, 0], [2, 0, 0]]
    assert cv2.imread(str(metric.out_file)).std() > 10


def test_boxes(metric):
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 70, 70]])
    truth = dict(bboxes=boxes, labels=torch.tensor([0, 1, 2]))
    predicted = dict(
        bboxes=torch.tensor(
            [[0.0, 0, 10, 9], [0, 0, 10, 10], [21, 20, 40, 40], [5, 50, 9, 60], [60, 60, 70, 70]]
        ),
        labels=torch.tensor([0, 0, 2, 1, 2]),
        scores=torch.tensor([0.8, 0.9, 0.7, 0.6, 0.1]),
    )
    metric.process(None, [dict(gt_instances=truth, pred_instances=predicted)])
    metric.evaluate(1)
    assert counts(metric).tolist() == [
        [1, 0, 0, 0],
        [0, 0, 1, 0],  # found as another class
        [0, 0, 0, 1],  # missed: its detection is below the threshold
        [1, 1, 0, 0],  # a second detection of the same box, and one of nothing
    ]


def test_nothing_there(metric):
    empty = dict(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    predicted = {**empty, 'scores': torch.zeros(0)}
    metric.process(None, [dict(gt_instances=empty, pred_instances=predicted)])
    assert metric.evaluate(1) == {'confusion/diagonal': 0}
    assert match_boxes(torch.ones(2, 4), torch.zeros(0, 4), 0.5) == [-1, -1]
