"""Every config is built as it is and predicts; the smallest of each kind take a training step.

Configs are those of the folder, and what is asked of one comes from its content: a new file needs
no line here.
"""

import ast
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope

from mmfreq.analysis.config_facts import (
    classes_of,
    data_set_of,
    decoder_of,
    metrics_of,
)
from mmfreq.analysis.cost.flops import count_cost, count_params
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.analysis.speed.workloads import data_samples
from mmfreq.facts import measured_cost, measured_costs, read_published
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.registry import MODELS
from mmfreq.utils.config_tree import find_data_sets
from mmfreq.zoo import build_backbone

CONFIGS = sorted(Path('configs').glob('*.py'))
FAMILIES = read_published().families
SIZE = 64
# Images a batch, images per GPU and length of the recipes, by the file that configs inherit from.
RECIPES = {
    'upernet_ade20k': (16, 2, 160_000),
    'fpn_ade20k': (32, 4, 40_000),
    'deeplabv3_ade20k': (16, 2, 63_150),
    'retinanet_coco': (16, 2, 12),
    'mask_rcnn_coco': (16, 2, 12),
    'mask_rcnn_detr_crops_coco': (16, 4, 12),
    'cascade_mask_rcnn_coco': (16, 2, 36),
    'faster_rcnn_coco': (16, 2, 12),
    'ssdlite_coco': (192, 24, 200),
    'gfnet_in1k': (1024, 128, 300),
    'metaformer_in1k': (1024, 128, 300),
    'affnet_in1k': (1024, 128, 300),
    'fdresnet_in1k': (256, 32, 100),
}
ROOTS = {
    'ADE20K': 'data/ade/ADEChallengeData2016',
    'COCO': 'data/coco',
    'ImageNet-1k': 'data/imagenet',
}
POSITIONS = ('pos_embed', 'position_bias_table')
STANDARD = {'UperNet', 'Semantic FPN', 'RetinaNet', 'Mask R-CNN'}


def assignments(path):
    """Names that a config file sets itself, with their expressions."""
    statements = ast.parse(Path(path).read_text()).body
    return {
        statement.targets[0].id: statement.value
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


def bases_of(path):
    """Names of the files that a config inherits from."""
    given = ast.literal_eval(assignments(path).get('_base_', ast.Constant(())))
    return [given] if isinstance(given, str) else given


def ancestors(path):
    """Files of this repository that a config inherits from, in any generation."""
    found = [Path(path).parent / name for name in bases_of(path) if '::' not in name]
    return [*found, *(file for parent in found for file in ancestors(parent))]


def overridden(path, name):
    return name in assignments(path)


SIZES = re.compile(r'_(ti|xs|s|b|et|t|tiny|small|base|large|[smbr]\d+)(?=_|$)')


def kinds_of(path):
    """What a config is made of: its base files, those of a network without its size."""
    names = bases_of(path)
    return frozenset(SIZES.sub('', Path(n).stem) if '/models/' in n else n for n in names)


def smallest_of_each_kind():
    """Of configs that differ in the size of the backbone only the one with the fewest parameters,
    and those of which the number of parameters is not known.
    """
    sizes = {name: int(row['params']) for name, row in measured_costs('configs').items()}
    found = {}
    for path in sorted(CONFIGS, key=lambda path: sizes.get(str(path), 0)):
        found.setdefault(kinds_of(path) if str(path) in sizes else path, path)
    return list(found.values())


def of_the_quick_tests():
    """Of the smallest those that have a base which none before them has: a decoder, a family, or
    something new.
    """
    quick, seen = set(), set()
    for path in SMALLEST:
        kinds = {kind.split('_')[0] if '/' not in kind else kind for kind in kinds_of(path)}
        own = not any('::' in name for name in kinds)  # others' recipes are large
        if own and not kinds <= seen:
            quick.add(path)
            seen |= kinds
    return quick


def is_large_classifier(path):
    """Variants of classifiers that differ in size only; tools/zoo/measure.py builds them, too."""
    cost = measured_costs('configs').get(str(path))
    return path.stem.endswith('_in1k') and cost is not None and int(cost['params']) > 40e6


SMALLEST = smallest_of_each_kind()
QUICK = of_the_quick_tests()
BUILT = [
    pytest.param(path, id=path.stem, marks=[] if path in QUICK else pytest.mark.thorough)
    for path in CONFIGS
    if path in QUICK or not is_large_classifier(path)
]


@pytest.fixture(scope='module', params=BUILT)
def path(request):
    return request.param


read = cache(Config.fromfile)


@pytest.fixture(scope='module')
def cfg(path):
    cfg = read(path)
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.clear()


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def any_path(request):
    """All configs, for what is asked of them without building the network."""
    return request.param


@pytest.fixture(scope='module')
def model(cfg):
    settings = deepcopy(cfg.model)
    if cfg.default_scope == 'mmseg':
        settings.data_preprocessor.size = (SIZE, SIZE)  # do not pad the tiny images to the crop
    if 'data_preprocessor' in cfg:  # as the runner does
        settings.data_preprocessor = cfg.data_preprocessor
    settings.backbone.init_cfg = None  # nothing is downloaded
    if settings.get('pretrained'):
        settings.pretrained = None
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(settings))
    model.init_weights()
    return model


def batch_for(cfg):
    if cfg.default_scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        return demo_mm_inputs(
            2,
            [[3, SIZE, SIZE]] * 2,
            num_classes=classes_of(cfg),
            with_mask='mask AP' in metrics_of(cfg),
        )
    images = [torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8) for _ in range(2)]
    samples = data_samples(cfg.default_scope, 2, (SIZE, SIZE), classes_of(cfg))
    return dict(inputs=images, data_samples=samples)


def test_training_step(path, cfg, model):
    if path not in SMALLEST:
        pytest.skip('has the parts of a smaller one')
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = batch_for(cfg)

    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    data = model.train().data_preprocessor(batch, training=True)
    loss, losses = model.parse_losses(model(**data, mode='loss'))
    assert all(value.isfinite() for value in losses.values())
    optimizer.backward(loss)
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused
    optimizer.step()
    assert any(not torch.equal(param, before[name]) for name, param in model.named_parameters())


def test_prediction(cfg, model):
    with torch.no_grad():
        results = model.eval().test_step(batch_for(cfg))
    assert len(results) == 2
    if cfg.default_scope == 'mmseg':
        assert results[0].pred_sem_seg.data.shape == (1, SIZE, SIZE)
    elif cfg.default_scope == 'mmdet':
        assert results[0].pred_instances.bboxes.shape[1] == 4
    else:
        assert results[0].pred_score.shape == (classes_of(cfg),)


def test_parameters_are_those_of_the_zoo(path, model):
    assert count_params(model) == int(measured_cost('configs', str(path))['params'])


def test_the_zoo_has_no_config_that_is_gone():
    assert set(measured_costs('configs')) <= set(map(str, CONFIGS))


def test_every_operator_has_a_known_cost(path, model):
    if path not in SMALLEST:
        pytest.skip('has the parts of a smaller one')
    cost = count_cost(WholeNetwork(model), torch.zeros(1, 3, SIZE, SIZE), CONVENTIONS['paper'])
    assert not cost.uncounted
    assert cost.flops > cost.parts['backbone'].flops > 0


def test_channels_are_those_of_the_network(cfg, model):
    if 'embed_dims' not in cfg:
        pytest.skip('names no channels')
    stages = cfg.model.backbone.get('out_indices', range(len(cfg.embed_dims)))
    if stages == -1:
        stages = [-1]
    dims = [*cfg.embed_dims, *([cfg.last_dim] if 'last_dim' in cfg else [])]
    channels = [dims[i] for i in stages]
    if isinstance(model.backbone, StagedBackbone):
        assert list(model.backbone.out_channels) == channels
    else:  # a host of FDConv
        assert [x.shape[1] for x in model.backbone(torch.zeros(1, 3, SIZE, SIZE))] == channels


def test_recipe_fits_together(any_path):
    """Batch, schedule and data are said in several places."""
    cfg = read(any_path)
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.enable is False
        assert cfg.auto_scale_lr.base_batch_size % cfg.train_dataloader.batch_size == 0
    length = cfg.train_cfg.get('max_iters', cfg.train_cfg.get('max_epochs'))
    assert cfg.param_scheduler[-1].end == length
    root = cfg.data_root.rstrip('/')
    assert root.startswith('data/')
    assert {data_set.data_root for data_set in find_data_sets(cfg).values()} == {cfg.data_root}
    assert ROOTS.get(data_set_of(cfg), root) == root


def test_recipe_is_that_of_the_base(any_path):
    """What a config does not set itself is as its authors have it."""
    path, cfg = any_path, read(any_path)
    inherited = [file.stem for file in ancestors(path) if file.stem in RECIPES]
    if not inherited:
        pytest.skip('has a recipe of its own')
    batch, per_gpu, length = RECIPES[inherited[0]]
    if not overridden(path, 'auto_scale_lr'):
        assert cfg.auto_scale_lr.base_batch_size == batch
    if not overridden(path, 'train_dataloader'):
        assert cfg.train_dataloader.batch_size == per_gpu
    if not overridden(path, 'train_cfg'):
        assert cfg.train_cfg.get('max_iters', cfg.train_cfg.get('max_epochs')) == length


def test_norms_biases_and_positions_do_not_decay(path, cfg, model):
    if any('::' in base for base in bases_of(path)):
        pytest.skip('has the recipe of another library')
    paramwise = cfg.optim_wrapper.get('paramwise_cfg')
    if paramwise is not None and paramwise.get('norm_decay_mult') != 0:
        pytest.skip('has rules of its own')
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    decay = {
        id(param): group['weight_decay']
        for group in optimizer.param_groups
        for param in group['params']
    }
    for name, param in model.named_parameters():
        if param.requires_grad:
            free = (param.ndim == 1 or name.endswith(POSITIONS)) and paramwise is not None
            assert (decay[id(param)] == 0) == free, name


def test_recipes_of_the_authors():
    dfformer = Config.fromfile('configs/fpn_cdfformer_m36_ade20k.py')
    assert dfformer.optim_wrapper.optimizer == dict(type='AdamW', lr=2e-4, weight_decay=1e-4)
    assert dfformer.optim_wrapper.paramwise_cfg is None
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
    assert faster.train_dataloader.batch_size == 8
    backbone = faster.model.backbone
    assert backbone.norm_eval and backbone.with_cp and backbone.train_frozen_modulation
    mask = Config.fromfile('configs/mask_rcnn_fdconv_r50_coco.py')
    assert mask.train_dataloader.batch_size == 4
    assert mask.param_scheduler[1].milestones == [10, 11]
    assert mask.model.data_preprocessor.pad_size_divisor == 64
    deeplab = Config.fromfile('configs/deeplabv3_affnet_et_ade20k.py')
    assert deeplab.model.data_preprocessor.std == [255.0] * 3
    assert deeplab.model.backbone.output_stride == 16


COMPLETE = [name for facts in FAMILIES.values() for name in facts.get('complete', [])]


@pytest.mark.parametrize('name', COMPLETE)
def test_what_is_said_to_be_complete_has_every_standard_decoder(name):
    base = Path(f'configs/_base_/models/{name}.py').resolve()
    mine = [path for path in CONFIGS if base in [file.resolve() for file in ancestors(path)]]
    assert {decoder_of(read(path)) for path in mine} >= STANDARD


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_anchors_begin_at_the_stride_of_the_first_map(path):
    model = read(path).model
    head = model.get('rpn_head') or model.get('bbox_head') or {}
    strides = head.get('anchor_generator', {}).get('strides')
    if strides is None or 'in_channels' not in model.get('neck', {}):
        return
    backbone = build_backbone(dict(model.backbone, init_cfg=None))
    first = model.neck.get('start_level', 0)
    if isinstance(backbone, StagedBackbone):
        assert backbone.out_strides[first] == strides[0]
    else:  # a host of FDConv
        assert SIZE // backbone(torch.zeros(1, 3, SIZE, SIZE))[first].shape[-1] == strides[0]
