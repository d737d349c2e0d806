# DeepLabV3 (arXiv 1706.05587) on the last map of a backbone with output stride 16, with rates,
# channels and dropout of CVNets' light segmentors; channels come from the backbone's file.
_base_ = './segmentor.py'
model = dict(
    decode_head=dict(
        type='ASPPHead',
        in_index=0,
        channels=256,
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
