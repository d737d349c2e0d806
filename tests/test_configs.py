"""Every config is built as it is and takes one training step and one prediction."""

import csv
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope

from mmfreq.analysis.cost.flops import count_cost, count_params
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.analysis.speed.workloads import data_samples
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.registry import MODELS

CONFIGS = sorted(Path('configs').glob('*.py'))
SIZE = 64
BACKBONES = [
    *(f'gfnet_h_{size}' for size in ('ti', 's', 'b')),
    *(f'{family}_{size}' for family in ('dfformer', 'cdfformer') for size in ('s18', 's36', 'm36')),
    *(f'affnet_{size}' for size in ('et', 't', 'base')),
    *(f'dsm_{size}' for size in ('s', 'b')),
    'fdconv_r50',
]
# Images a batch, images per GPU and length of each recipe.
RECIPES = {
    'upernet': (16, 2, 160_000),
    'fpn': (32, 4, 40_000),
    'deeplabv3': (16, 2, 63_150),
    'retinanet': (16, 2, 12),
    'mask_rcnn': (16, 2, 12),
    'ssdlite': (192, 24, 200),
    'faster_rcnn_fdconv': (16, 8, 12),
    'mask_rcnn_fdconv': (16, 4, 12),
}


@pytest.fixture(scope='module', params=CONFIGS, ids=lambda path: path.stem)
def cfg(request):
    cfg = Config.fromfile(request.param)
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='module')
def model(cfg):
    settings = cfg.model.copy()
    if cfg.default_scope == 'mmseg':
        settings.data_preprocessor.size = (SIZE, SIZE)  # do not pad the tiny images to the crop
    settings.backbone.init_cfg = None  # nothing is downloaded
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(settings))
    model.init_weights()
    return model


def segmentation_batch():
    images = [torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8) for _ in range(2)]
    return dict(inputs=images, data_samples=data_samples('mmseg', 2, (SIZE, SIZE)))


def detection_batch(cfg):
    from mmdet.testing import demo_mm_inputs

    with_mask = 'mask_rcnn' in cfg.filename
    return demo_mm_inputs(2, [[3, SIZE, SIZE]] * 2, num_classes=80, with_mask=with_mask)


def test_step_and_prediction(cfg, model):
    segmentation = cfg.default_scope == 'mmseg'
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = segmentation_batch() if segmentation else detection_batch(cfg)

    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    data = model.train().data_preprocessor(batch, training=True)
    loss, losses = model.parse_losses(model(**data, mode='loss'))
    assert all(value.isfinite() for value in losses.values())
    optimizer.backward(loss)
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
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


@pytest.fixture(scope='module')
def params_in_zoo():
    with open('mmfreq/measured/configs.csv') as file:
        rows = list(csv.DictReader(file))
    return {row['model']: int(row['params']) for row in rows if row['part'] == 'all'}


def test_parameters_are_those_of_the_zoo(cfg, model, params_in_zoo):
    assert count_params(model) == params_in_zoo[f'configs/{Path(cfg.filename).name}']


def test_every_operator_has_a_known_cost(cfg, model):
    if not re.search('h_ti|gfnet_s|s18|affnet_et|dsm_s|fdconv', cfg.filename):
        pytest.skip('has the operators of a smaller one')
    cost = count_cost(WholeNetwork(model), torch.zeros(1, 3, SIZE, SIZE), CONVENTIONS['paper'])
    assert not cost.uncounted
    assert cost.flops > cost.parts['backbone'].flops > 0


def test_channels_are_those_of_the_network(cfg, model):
    assert cfg.model.backbone.type.startswith('mmfreq.')
    channels = [cfg.embed_dims[i] for i in cfg.model.backbone.get('out_indices', range(4))]
    if 'gfnet_s' in cfg.filename:
        channels = cfg.embed_dims
    assert list(model.backbone.out_channels) == channels


def test_recipe(cfg):
    stem = Path(cfg.filename).stem
    recipe = max((name for name in RECIPES if stem.startswith(name)), key=len)
    batch, per_gpu, length = RECIPES[recipe]
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=batch)
    assert batch % cfg.train_dataloader.batch_size == 0
    assert cfg.train_dataloader.batch_size == per_gpu
    assert cfg.train_cfg.get('max_iters', cfg.train_cfg.get('max_epochs')) == length
    assert cfg.param_scheduler[-1].end == length
    root = {'mmseg': 'data/ade/ADEChallengeData2016', 'mmdet': 'data/coco'}[cfg.default_scope]
    assert cfg.data_root == root


def test_norms_biases_and_positions_do_not_decay(cfg, model):
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    everything_decays = cfg.optim_wrapper.get('paramwise_cfg') is None
    decay = {
        id(param): group['weight_decay']
        for group in optimizer.param_groups
        for param in group['params']
    }
    for name, param in model.named_parameters():
        if param.requires_grad:
            free = (param.ndim == 1 or name.endswith('pos_embed')) and not everything_decays
            assert (decay[id(param)] == 0) == free, name


def test_recipes_of_the_authors():
    dfformer = Config.fromfile('configs/fpn_cdfformer_m36_ade20k.py')
    assert dfformer.optim_wrapper.optimizer == dict(type='AdamW', lr=2e-4, weight_decay=1e-4)
    assert dfformer.model.backbone.img_size == (512, 512)
    assert dfformer.model.backbone.init_cfg.checkpoint.endswith('/weights/cdfformer_m36.pth')
    assert 'ResizeToMultiple' not in str(dfformer.test_dataloader)
    retinanet = Config.fromfile('configs/retinanet_dfformer_s36_coco.py')
    assert retinanet.model.backbone.img_size == 800
    assert retinanet.optim_wrapper.optimizer.weight_decay == 0.05
    faster = Config.fromfile('configs/faster_rcnn_fdconv_r50_coco.py')
    assert faster.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4
    )
    backbone = faster.model.backbone
    assert backbone.norm_eval and backbone.with_cp and backbone.train_frozen_modulation
    mask = Config.fromfile('configs/mask_rcnn_fdconv_r50_coco.py')
    assert mask.param_scheduler[1].milestones == [10, 11]
    assert mask.model.data_preprocessor.pad_size_divisor == 64
    deeplab = Config.fromfile('configs/deeplabv3_affnet_et_ade20k.py')
    assert deeplab.model.data_preprocessor.std == [255.0] * 3
    assert deeplab.model.backbone.output_stride == 16


def test_every_backbone_has_every_decoder_and_detector():
    names = {path.stem for path in CONFIGS}
    patterns = ['upernet_{}_ade20k', 'fpn_{}_ade20k', 'retinanet_{}_coco', 'mask_rcnn_{}_coco']
    expected = {pattern.format(name) for pattern in patterns for name in BACKBONES}
    for name in ('affnet_et', 'affnet_t', 'affnet_base'):
        expected |= {f'deeplabv3_{name}_ade20k', f'ssdlite_{name}_coco'}
    assert names == expected | {'upernet_gfnet_s_ade20k', 'faster_rcnn_fdconv_r50_coco'}
