# Detection, 12 epochs with SGD 0.02: the 1x schedule of Detectron and mmdet, which FDConv's
# Faster R-CNN follows (arXiv 2503.18783, Linwei-Chen/FDConv).
_base_ = './1x.py'
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=None,
)
