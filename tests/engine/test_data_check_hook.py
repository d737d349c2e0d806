import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from torch import nn

from mmfreq.engine.data_check_hook import _classes_of, find_heads
from mmfreq.engine.runner import Runner


class Head(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes
        self.weight = nn.Parameter(nn.init.ones_(nn.Parameter(nn.Linear(1, 1).weight)))


class Segmentor(BaseModel):
    def __init__(self, decode=3, auxiliary=3):
        super().__init__()
        self.decode_head = Head(decode)
        self.auxiliary_head = nn.ModuleList([Head(auxiliary)])

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.decode_head.weight.sum() + self.auxiliary_head[0].weight.sum())


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')
    yield
    DefaultScope._instance_dict.clear()


def write_maps(folder, values):
    """Images with label maps that hold some values each."""
    for i, held in enumerate(values):
        for part in ('images', 'labels'):
            (folder / part).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / 'images' / f'{i}.jpg'), np.zeros((20, 20, 3), np.uint8))
        cv2.imwrite(str(folder / 'labels' / f'{i}.png'), np.resize(np.uint8(held), (20, 20)))


def dataset(folder, classes, kind='BaseSegDataset'):
    return dict(
        type=kind,
        data_root=str(folder),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=classes),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='mmfreq.CheckSegMap'),
            dict(type='PackSegInputs'),
        ],
    )


def train(folder, data, model, allow=()):
    runner = Runner(
        model=model,
        work_dir=str(folder / 'run'),
        train_dataloader=dict(
            batch_size=1, sampler=dict(type='DefaultSampler', shuffle=True), dataset=data
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='mmfreq.DataCheckHook', allow=allow)],
        experiment_name=folder.name,
        default_scope='mmseg',
    )
    runner.train()
    return next((folder / 'run').glob('*/*.log')).read_text()


@pytest.mark.parametrize('wrapped', [False, True])
def test_heads_that_do_not_fit_the_data(tmp_path, wrapped):
    write_maps(tmp_path, [[0, 1, 2]])
    data = dataset(tmp_path, ('a', 'b', 'c'))
    if wrapped:
        data = dict(
            type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[data])
        )
    with pytest.raises(ValueError) as error:
        train(tmp_path, data, Segmentor(3, 150))
    assert 'train_dataloader.dataset has 3 classes (a, b, c)' in str(error.value)
    assert 'model.auxiliary_head.0.num_classes=150' in str(error.value)
    assert 'decode_head.num' not in str(error.value)
    assert '--allow-mismatch auxiliary_head.0' in str(error.value)


def test_a_mismatch_can_be_allowed_by_name(tmp_path):
    write_maps(tmp_path, [[0, 1, 2]])
    train(tmp_path, dataset(tmp_path, ('a', 'b', 'c')), Segmentor(3, 150), ['auxiliary_head.0'])
    with pytest.raises(ValueError, match='the model has the heads decode_head'):
        train(tmp_path, dataset(tmp_path, ('a', 'b', 'c')), Segmentor(), ['seg_head'])


def test_labels_must_fit_an_allowed_smaller_head(tmp_path):
    """Class 2 of the data is none of the head's: named before the loss fails."""
    write_maps(tmp_path, [[0, 1, 2]])
    with pytest.raises(ValueError, match=r'0\.png has class id 2, the highest one allowed is 1'):
        train(tmp_path, dataset(tmp_path, ('a', 'b', 'c')), Segmentor(2, 3), ['decode_head'])


def test_classes_as_a_text(tmp_path):
    write_maps(tmp_path, [[0]])
    with pytest.raises(ValueError, match=r"metainfo\.classes must be names in a tuple, .*'crack'"):
        train(tmp_path, dataset(tmp_path, ('crack')), Segmentor(5, 5))


@pytest.mark.parametrize('kind', ['BaseSegDataset', 'mmfreq.BaseSegDataset'])
def test_masks_of_0_and_255(tmp_path, kind):
    write_maps(tmp_path, [[0, 255], [0, 0, 0, 255]])
    log = train(tmp_path, dataset(tmp_path, ('ground', 'crack'), kind), Segmentor(2, 2))
    assert 'in 2 of 2 label maps: 255 means "ignore", which 37.5 % of the pixels have' in log
    assert 'no pixel has the class crack' in log
    assert 'must hold 0 and 1, not 0 and 255' in log


def test_complete_label_maps_are_no_news(tmp_path):
    write_maps(tmp_path, [[0, 1]])
    log = train(tmp_path, dataset(tmp_path, ('ground', 'crack')), Segmentor(2, 2))
    assert 'label maps' not in log


@pytest.mark.parametrize(
    ('classes', 'wrong'),
    [
        (('person', 'unicorn', 'car'), 'not all among'),
        (('car', 'person'), 'in another order than'),
        (('person', 'car'), None),
    ],
)
def test_classes_of_data_sets_of_mmdet(mini_data, classes, wrong):
    """mmdet numbers the categories that it finds, in the file's order."""
    init_default_scope('mmdet')
    cfg = Config.fromfile('configs/retinanet_gfnet_h_ti_coco.py').train_dataloader.dataset
    cfg.update(type='CocoDataset', data_root=str(mini_data / 'coco'), pipeline=[])
    cfg.metainfo = dict(classes=classes)
    cfg.filter_cfg = None
    if wrong is None:
        assert _classes_of(DATASETS.build(cfg), 'x') == list(classes)
        return
    with pytest.raises(ValueError, match=rf'{wrong} the categories of .*train2017'):
        _classes_of(DATASETS.build(cfg), 'x')


def test_heads_of_the_libraries():
    """Heads of detectors that count something else are not asked."""
    settings = Config.fromfile('configs/mask_rcnn_affnet_et_coco.py').model
    settings.backbone.norm_cfg = dict(type='BN')
    init_default_scope('mmdet')
    detector = MODELS.build(settings)
    assert find_heads(detector) == {'roi_head.bbox_head': 80, 'roi_head.mask_head': 80}


def test_a_damaged_label_map_is_named(tmp_path):
    write_maps(tmp_path, [[0, 1]])
    path = tmp_path / 'labels/0.png'
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r'0\.jpg.*0\.png could not be prepared'):
        train(tmp_path, dataset(tmp_path, ('ground', 'crack')), Segmentor(2, 2))


def test_heads_of_separable_convolutions_are_asked():
    settings = Config.fromfile('configs/deeplabv3_affnet_et_ade20k.py').model
    settings.backbone.norm_cfg = settings.decode_head.norm_cfg = dict(type='BN')
    settings.decode_head.update(
        type='DepthwiseSeparableASPPHead', c1_in_channels=0, c1_channels=0, num_classes=7
    )
    assert find_heads(MODELS.build(settings)) == {'decode_head': 7}


def test_sixteen_bits_in_a_pipeline_of_mmseg(tmp_path):
    write_maps(tmp_path, [[0, 1]])
    cv2.imwrite(str(tmp_path / 'labels/0.png'), np.resize(np.uint16([0, 257]), (20, 20)))
    data = dataset(tmp_path, ('ground', 'crack'))
    data['pipeline'] = [step for step in data['pipeline'] if 'Check' not in step['type']]
    with pytest.raises(ValueError, match=r'0\.png has the value 257, which mmseg reads modulo 256'):
        train(tmp_path, data, Segmentor(2, 2))


def test_training_and_validation_number_classes_alike(tmp_path):
    write_maps(tmp_path, [[0, 1]])
    loaders = [
        dict(
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dataset(tmp_path, classes),
        )
        for classes in (('a', 'b'), ('b', 'a'))
    ]

    def run(allow):
        runner = Runner(
            model=Segmentor(2, 2),
            work_dir=str(tmp_path / 'run'),
            train_dataloader=loaders[0],
            train_cfg=dict(by_epoch=True, max_epochs=1, val_interval=2),
            val_dataloader=loaders[1],
            val_cfg=dict(),
            val_evaluator=dict(type='mmseg.IoUMetric'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            custom_hooks=[dict(type='mmfreq.DataCheckHook', allow=allow)],
            experiment_name=f'{tmp_path.name}{len(allow)}',
            default_scope='mmseg',
        )
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner._val_loop = runner.build_val_loop(runner._val_loop)
        runner.call_hook('before_run')

    with pytest.raises(ValueError, match=r'(?s)val_dataloader.* another order.*a, b.*b, a.*-mism'):
        run(())
    run(('val_dataloader',))
