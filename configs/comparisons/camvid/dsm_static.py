_base_ = './dsm.py'
model = dict(backbone=dict(dynamic=False))
