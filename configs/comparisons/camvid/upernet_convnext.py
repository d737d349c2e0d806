_base_ = ['./convnext.py', './_upernet.py']
model = dict(
    neck=None,
    decode_head=dict(
        _delete_=True,
        in_channels=_base_.embed_dims,
        num_classes=_base_.num_classes,
        **_base_.uper_head,
    ),
)
