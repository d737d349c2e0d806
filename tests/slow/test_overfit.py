"""Each family, with Semantic FPN, learns eight real ADE20K images by heart.

    python -m pytest -m slow tests/slow/test_overfit.py -s -k gfnet_h_ti

A segmentor that cannot do this has a fault in its gradients, its data or its metric. The images are
the first eight of the training split of the small set that MMFREQ_SHARED points to.
"""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

BACKBONES = ['gfnet_h_ti', 'dfformer_s18', 'cdfformer_s18', 'affnet_et', 'dsm_s', 'fdconv_r50']
NUM_IMAGES, MAX_ITERS, EVERY, SIDE = 8, 400, 50, 256


def overfit_config(backbone, root, work_dir):
    cfg = Config.fromfile(f'configs/fpn_{backbone}_ade20k.py')
    cfg.work_dir = str(work_dir)
    # No augmentation: the same eight images again and again. Predictions are evaluated at the
    # original size, so label maps are resized for training only.
    load, labels = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')
    resize, pack = dict(type='Resize', scale=(SIDE, SIDE)), dict(type='PackSegInputs')
    cfg.train_dataloader.dataset.pipeline = [load, labels, resize, pack]
    cfg.val_dataloader.dataset.pipeline = [load, resize, labels, pack]
    cfg.val_dataloader.dataset.data_prefix = cfg.train_dataloader.dataset.data_prefix
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(data_root=str(root), indices=NUM_IMAGES)
    cfg.test_dataloader = cfg.val_dataloader
    cfg.model.data_preprocessor.size = (SIDE, SIDE)
    cfg.model.backbone.update(init_cfg=None, drop_path_rate=0.0)
    if 'img_size' in cfg.model.backbone:
        cfg.model.backbone.img_size = SIDE
    cfg.model.decode_head.dropout_ratio = 0.0
    cfg.optim_wrapper.optimizer.lr = 1e-3
    cfg.optim_wrapper.clip_grad = dict(max_norm=1.0)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
        dict(type='PolyLR', power=0.9, begin=20, end=MAX_ITERS, by_epoch=False),
    ]
    cfg.train_cfg.update(max_iters=MAX_ITERS, val_interval=EVERY)
    cfg.default_hooks.checkpoint.update(interval=MAX_ITERS, save_best=None)
    cfg.default_hooks.visualization.draw = False
    cfg.randomness = dict(seed=0)
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('backbone', BACKBONES)
def test_overfit(backbone, shared, tmp_path, monkeypatch):
    curve = []
    root = shared / 'data/ade20k_mini/ADEChallengeData2016'
    runner = Runner.from_cfg(overfit_config(backbone, root, tmp_path))
    call_hook = runner.call_hook

    def record(name, **kwargs):
        call_hook(name, **kwargs)
        if name == 'after_val_epoch':
            curve.append((runner.iter, round(float(kwargs['metrics']['mIoU']), 2)))
            print('iteration, training mIoU:', curve[-1], flush=True)

    monkeypatch.setattr(runner, 'call_hook', record)
    try:
        runner.train()
    finally:
        DefaultScope._instance_dict.clear()
    assert curve[-1][0] == MAX_ITERS
    assert curve[-1][1] > 60, curve
