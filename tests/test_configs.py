"""Every config is built as it is and takes one training step and one prediction."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope

from mmfreq.models import GFNet
from mmfreq.registry import MODELS

CONFIGS = sorted(Path('configs').glob('*.py'))
SIZE = 64


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def cfg(request):
    cfg = Config.fromfile(request.param)
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.clear()


def segmentation_batch(cfg):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(2):
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 150, (1, SIZE, SIZE))))
        sample.set_metainfo(
            dict(ori_shape=(SIZE, SIZE), img_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE))
        )
        samples.append(sample)
    images = [torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)


def detection_batch(cfg):
    from mmdet.testing import demo_mm_inputs

    with_mask = 'mask_rcnn' in cfg.filename
    return demo_mm_inputs(2, [[3, SIZE, SIZE]] * 2, num_classes=80, with_mask=with_mask)


def test_step_and_prediction(cfg):
    segmentation = cfg.default_scope == 'mmseg'
    if segmentation:
        cfg.model.data_preprocessor.size = (SIZE, SIZE)  # do not pad the tiny images to the crop
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = (segmentation_batch if segmentation else detection_batch)(cfg)

    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    data = model.train().data_preprocessor(batch, training=True)
    loss, losses = model.parse_losses(model(**data, mode='loss'))
    assert all(value.isfinite() for value in losses.values())
    optimizer.backward(loss)
    unused = [name for name, param in model.named_parameters() if param.grad is None]
    assert not unused
    optimizer.step()
    assert any(not torch.equal(param, before[name]) for name, param in model.named_parameters())

    with torch.no_grad():
        results = model.eval().test_step(batch)
    assert len(results) == 2
    if segmentation:
        assert results[0].pred_sem_seg.data.shape == (1, SIZE, SIZE)
    else:
        assert results[0].pred_instances.bboxes.shape[1] == 4


def test_channels_are_those_of_the_network(cfg):
    backbone = cfg.model.backbone
    with torch.device('meta'):
        model = MODELS.build(backbone)
    assert isinstance(model, GFNet)
    channels = cfg.embed_dims[-len(model.out_indices) :]
    assert list(model.out_channels) == channels


def test_recipe(cfg):
    base = {'upernet': 16, 'fpn': 32, 'retinanet': 16, 'mask': 16}
    family = Path(cfg.filename).stem.split('_')[0]
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=base[family])
    assert base[family] == 8 * cfg.train_dataloader.batch_size
    length = {'upernet': 160_000, 'fpn': 40_000, 'retinanet': 12, 'mask': 12}[family]
    assert cfg.train_cfg.get('max_iters', cfg.train_cfg.get('max_epochs')) == length
    assert cfg.param_scheduler[-1].end == length
    root = {'mmseg': 'data/ade/ADEChallengeData2016', 'mmdet': 'data/coco'}[cfg.default_scope]
    assert cfg.data_root == root


def test_norms_biases_and_positions_do_not_decay(cfg):
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    decay = {
        id(param): group['weight_decay']
        for group in optimizer.param_groups
        for param in group['params']
    }
    for name, param in model.named_parameters():
        free = param.ndim == 1 or name.endswith('pos_embed')
        assert (decay[id(param)] == 0) == free, name


def test_every_size_has_every_decoder_and_detector():
    names = {path.stem for path in CONFIGS}
    for size in ('ti', 's', 'b'):
        for pattern in ('upernet_gfnet_h_{}_ade20k', 'fpn_gfnet_h_{}_ade20k'):
            assert pattern.format(size) in names
        for pattern in ('retinanet_gfnet_h_{}_coco', 'mask_rcnn_gfnet_h_{}_coco'):
            assert pattern.format(size) in names
