# DSM is our reconstruction: nothing is published for it; the recipe is _base_/metaformer_in1k.py's
# with a linear layer on the mean of normalised maps.
_base_ = ['./_base_/metaformer_in1k.py', './_base_/models/dsm_s.py']
model = dict(
    backbone=dict(
        _base_.backbone, drop_path_rate=0.2, out_norm=dict(_delete_=True, type='LN', eps=1e-6)
    ),
    head=dict(type='mmfreq.LinearClsHead', in_channels=_base_.embed_dims[-1]),
)
