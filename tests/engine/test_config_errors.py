import logging
import re

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope, init_default_scope

from mmfreq.engine.config_errors import check_keys, explain, merge_options
from mmfreq.engine.data_roots import check_data, set_data_root
from mmfreq.engine.run_configs import read_config
from mmfreq.utils.config_files import read_model_config

ADE = 'configs/upernet_gfnet_h_ti_ade20k.py'


@pytest.fixture
def cfg():
    init_default_scope('mmseg')
    cfg = Config.fromfile(ADE)
    cfg.model.backbone.img_size = 64
    yield cfg
    DefaultScope._instance_dict.clear()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'model.backbone.archs': 'h-s'},
            r"^model\.backbone \(mmfreq\.GFNet\): .*'archs'; did .*arch",
        ),
        (
            {'model.backbone.arch': 'h-xl'},
            r'^model\.backbone \(mmfreq\.GFNet\): arch must be one of',
        ),
        ({'model.backbone.type': 'mmfreq.GfNet'}, r'^model\.backbone.*no .mmfreq\.GfNet.*GFNet'),
        ({'model.decode_head.type': 'UperHead'}, r'^model\.decode_head.*no .UperHead.*UPerHead'),
        (
            {'model.decode_head.in_index': (0, 1)},
            r'^model\.decode_head \(UPerHead\): AssertionError',
        ),
        (
            {'model.auxiliary_head.num_class': 3},
            r"^model\.auxiliary_head.*'num_class'.*num_classes",
        ),
    ],
)
def test_errors_of_building_name_the_key(cfg, options, message):
    merge_options(cfg, options)
    with pytest.raises(Exception) as error:
        MODELS.build(cfg.model)
    explained = explain(error.value, cfg)
    assert explained is not None
    assert re.search(message, explained), explained
    assert '\n' not in explained


def test_errors_from_elsewhere_are_not_explained(cfg):
    try:
        raise TypeError('a fault of the program')
    except TypeError as error:
        assert explain(error, cfg) is None


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('crop_size', r'variable of the config file.*set .*train_dataloader\.dataset\.pipeline\.4'),
        ('num_classes', r'variable of the config file.*model\.decode_head\.num_classes'),
        ('data_root', r'variable of the config file.*train_dataloader\.dataset\.data_root'),
        (
            'optim_wraper.optimizer.lr',
            "no key or variable 'optim_wraper'; did you mean optim_wrapper",
        ),
        ('train_dataloader.dataset.pipeline.9.scale', r'--cfg-options train_dataloader.*9'),
    ],
)
def test_options_without_effect_are_refused(cfg, key, message):
    with pytest.raises(ValueError, match=message):
        merge_options(cfg, {key: 1})


def test_options_of_the_runner_that_a_config_lacks(cfg):
    merge_options(cfg, {'custom_hooks': [dict(type='EMAHook')], 'experiment_name': 'a'})
    assert cfg.custom_hooks[0].type == 'EMAHook' and cfg.experiment_name == 'a'


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('custom_hook', 'custom_hook in the config is read by nothing; did you mean custom_hooks'),
        ('train_dataloder', 'did you mean .*train_dataloader'),
    ],
)
def test_misspelt_keys_of_a_config(cfg, key, message):
    cfg[key] = []
    with pytest.raises(ValueError, match=message):
        check_keys(cfg)
    cfg._cfg_dict.pop(key)
    cfg.my_own_variable = 3
    check_keys(cfg)


def test_parts_that_mmengine_reads_by_name(cfg):
    cfg.env_cfg.cudnn_benchmarks = True
    with pytest.raises(
        ValueError, match=r'env_cfg\.cudnn_benchmarks.*did you mean cudnn_benchmark'
    ):
        check_keys(cfg)


def test_a_config_that_is_not_there():
    with pytest.raises(FileNotFoundError, match=r'did you mean.*upernet_gfnet_h_s_ade20k'):
        read_config('configs/upernet_gfnet_h_s_ade20.py', None, None, None)


def test_a_config_that_cannot_be_read(tmp_path):
    (tmp_path / 'a.py').write_text('model = dict(\n')
    with pytest.raises(ValueError, match=r'a\.py cannot be read \(\w*Error: '):
        read_config(str(tmp_path / 'a.py'), None, None, None)


def two_roots(tmp_path, **more):
    part = dict(type='BaseSegDataset', data_prefix=dict(img_path='images'))
    datasets = [dict(part, data_root=root) for root in ('data/a/', 'data/b')]
    return Config(
        dict(
            work_dir='data/a/run',
            train_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=datasets)),
            val_evaluator=dict(type='X', ann_file='data/b/val.json'),
            **more,
        )
    )


def test_several_data_roots_are_listed(tmp_path):
    with pytest.raises(ValueError) as error:
        set_data_root(two_roots(tmp_path), '/new')
    for text in (
        'data/a (train_dataloader.dataset.datasets.0.data_root)',
        'data/b (train_dataloader.dataset.datasets.1.data_root)',
        '--data-root data/a=/new',
    ):
        assert text in str(error.value)


def test_each_of_several_data_roots_can_be_replaced(tmp_path):
    cfg = two_roots(tmp_path)
    set_data_root(cfg, ['data/a=/new', 'data/b=/other/'])
    roots = [d.data_root for d in cfg.train_dataloader.dataset.datasets]
    assert roots == ['/new/', '/other'] and cfg.val_evaluator.ann_file == '/other/val.json'
    assert cfg.work_dir == 'data/a/run'  # no data


def test_a_data_root_that_nothing_has():
    with pytest.raises(ValueError, match='no data set of the config has a data_root'):
        set_data_root(Config(dict(train_dataloader=dict(dataset=dict(type='X')))), '/new')


@pytest.mark.parametrize(
    ('dataset', 'missing'),
    [
        (dict(type='CustomDataset', data_prefix='train'), 'R/train does not exist.*data_prefix'),
        (dict(type='X', data_prefix=dict(img='pictures')), r'R/pictures .*data_prefix\.img'),
        (dict(type='X', ann_file='a.json'), r'R/a\.json .*ann_file'),
        (dict(type='X', data_prefix=['one', 'here']), 'R/one'),
        (dict(type='X', data_prefix='here'), None),
        (dict(type='X', data_prefix=dict(img='s3://bucket/x')), None),
        (dict(type='X', ann_file='a.json', backend_args=dict(backend='petrel')), None),
        (dict(type='CIFAR10', data_prefix='not/yet'), None),
        (dict(type='CIFAR10', data_prefix='not/yet', download=False), 'R/not/yet'),
    ],
)
def test_check_of_the_data(tmp_path, dataset, missing):
    (tmp_path / 'here').mkdir()
    loader = dict(dataset={**dataset, 'data_root': str(tmp_path)})
    cfg = Config(dict(test_dataloader=loader, default_scope='mmpretrain'))
    if missing is None:
        return check_data(cfg, ['test'])
    with pytest.raises(FileNotFoundError, match=missing.replace('R', str(tmp_path))):
        check_data(cfg, ['test'])


def test_nested_data_roots_are_told_apart():
    def roots(*given):
        datasets = [dict(type='X', data_root=root) for root in ('data', 'data/ade')]
        loader = dict(dataset=dict(type='ConcatDataset', datasets=datasets))
        cfg = Config(dict(train_dataloader=loader))
        set_data_root(cfg, given)
        return [d.data_root for d in cfg.train_dataloader.dataset.datasets]

    assert roots('data=/x', 'data/ade=/y') == ['/x', '/y']
    assert roots('data=/x') == ['/x', 'data/ade']
    assert roots('data=/x', 'data=/y') == ['/y', 'data/ade']


def test_only_data_that_a_tool_reads_have_to_be_there(tmp_path):
    datasets = {
        f'{split}_dataloader': dict(dataset=dict(type='X', data_root=str(root)))
        for split, root in (('train', '/nowhere'), ('test', tmp_path))
    }
    check_data(Config(datasets), ['test'])
    with pytest.raises(FileNotFoundError, match='nowhere'):
        check_data(Config(datasets), ['train', 'val'])


def test_options_that_look_like_their_neighbours(cfg):
    """Parts that nothing is built from: MMEngine and the libraries ignore what they do not know."""
    cfg.model.test_cfg = dict(rcnn=dict(score_thr=0.05))
    with pytest.raises(
        ValueError, match=r"model\.test_cfg\.rcnn: .*'scor_thr'; did you mean score_thr"
    ):
        merge_options(cfg, {'model.test_cfg.rcnn.scor_thr': 0.9})
    merge_options(cfg, {'model.test_cfg.rcnn.max_per_img': 10})


def test_keys_of_former_versions(cfg):
    cfg.lr_config = dict(policy='poly')
    with pytest.raises(ValueError, match='lr_config in the config is of former versions'):
        check_keys(cfg)


def test_unexpected_arguments_of_functions_are_found_in_the_config(cfg):
    def clip_grad_norm(max_norm):
        raise NotImplementedError

    cfg.optim_wrapper.clip_grad = dict(max_nrm=1)
    try:
        clip_grad_norm(**cfg.optim_wrapper.clip_grad)
    except TypeError as error:
        assert explain(error, cfg).startswith('optim_wrapper.clip_grad.max_nrm: ')


def test_a_misspelt_variable_of_the_file_is_logged(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(
        "_base_ = 'mmfreq::fpn_affnet_et_ade20k.py'\n"
        'crop_sise = (64, 64)\ntrian_cfg = dict(max_iters=2)\nnum_clases = 7\nside = 3\n'
        'default_hooks = dict(logger=dict(interval=side))\n'
    )
    MMLogger.get_instance('misspelt')  # what print_log finds as the current one
    messages = []
    logger = MMLogger.get_current_instance()
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    check_keys(read_model_config(str(path)))
    for name, meant in (('crop_sise', 'crop_size'), ('trian_cfg', 'train_cfg')):
        assert f'{name} in {path} is read by nothing; did you mean {meant}?' in messages
    assert len(messages) == 3
