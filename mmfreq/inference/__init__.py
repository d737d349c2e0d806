"""Predictions for images of one's own, by the inferencers of MMSeg, MMDet and MMPretrain."""

from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict
from mmfreq.inference.results import Classification, Detection, Prediction, Segmentation

__all__ = [
    'Classification',
    'Detection',
    'Prediction',
    'Segmentation',
    'init_model',
    'predict',
]
