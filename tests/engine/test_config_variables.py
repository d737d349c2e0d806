"""Variables of config files that are given on the command line, or by a file that inherits."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmfreq.analysis.config_facts import classes_of
from mmfreq.engine.config_options import read_with_options
from mmfreq.utils.config_tree import dicts_in

UPERNET = 'upernet_gfnet_h_s_ade20k'
SEGMENTORS = sorted(
    path.stem
    for path in Path('configs').glob('*_ade20k.py')
    if '::' not in path.read_text()  # the recipe, and the variables, of another library
)
DETECTORS = sorted(path.stem for path in Path('configs').glob('*_coco.py'))
PARTS = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader')


def steps(cfg, kind):
    return [n for part in PARTS for _, n in dicts_in(cfg[part]) if n.get('type') == kind]


@pytest.mark.parametrize('name', SEGMENTORS)
def test_sizes_of_a_segmentor_follow(name):
    """The value goes into crops, padding, sliding windows and stored filters."""
    options = {'crop_size': (256, 128), 'scale': (640, 480), 'num_classes': 7}
    cfg = read_with_options(name, options)
    assert [step.crop_size for step in steps(cfg, 'RandomCrop')] == [(256, 128)]
    assert {step.scale for step in steps(cfg, 'Resize')} == {(640, 480)}
    assert [step.scale for step in steps(cfg, 'RandomResize')] == [(640, 480)]
    assert cfg.model.data_preprocessor['size'] == (256, 128)
    assert cfg.model.backbone.get('img_size', (256, 128)) == (256, 128)
    assert cfg.model.get('test_cfg', {}).get('crop_size', (256, 128)) == (256, 128)
    assert classes_of(cfg) == 7
    heads = [node['num_classes'] for _, node in dicts_in(cfg.model) if 'num_classes' in node]
    assert set(heads) == {7}


@pytest.mark.parametrize('name', DETECTORS)
def test_classes_and_root_of_a_detector_follow(name):
    cfg = read_with_options(name, {'num_classes': 3, 'data_root': 'data/mine', 'max_epochs': 24})
    assert {n['num_classes'] for _, n in dicts_in(cfg.model) if 'num_classes' in n} == {3}
    assert {cfg[part].dataset.data_root for part in PARTS[1:]} == {'data/mine'}
    assert cfg.val_evaluator.ann_file.startswith('data/mine/')
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[-1].end == 24


def test_what_is_computed_from_a_variable_follows():
    cfg = read_with_options(UPERNET, {'max_iters': 4000, 'crop_size': [96, 96]})
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 4000
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 400
    assert cfg.model.test_cfg.stride == [64, 64]
    assert cfg.model.test_cfg.crop_size == (96, 96)  # a tuple, as in the file


def test_keys_and_variables_together():
    options = {'crop_size': (64, 64), 'train_cfg.max_iters': 2, 'model.backbone.img_size': 32}
    cfg = read_with_options(UPERNET, options)
    assert cfg.train_cfg.max_iters == 2 and cfg.model.backbone.img_size == 32
    assert cfg.model.data_preprocessor['size'] == (64, 64)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'crop_sise': (1, 1)}, "no key or variable 'crop_sise'; did you mean crop_size"),
        ({'crop_size': 256}, r'crop_size is \(512, 512\) in the config, got 256.*brackets'),
        ({'num_classes': 'many'}, "num_classes is 150 in the config, a number; got 'many'"),
        ({'backbone': 'resnet'}, 'backbone is a variable of the config file'),
    ],
)
def test_values_that_cannot_be_put_in(options, message):
    with pytest.raises(ValueError, match=message):
        read_with_options(UPERNET, options)


def own(folder, text):
    (folder / 'own.py').write_text(f"_base_ = 'mmfreq::{UPERNET}.py'\n{text}")
    return str(folder / 'own.py')


def test_own_configs_hand_their_variables_on(tmp_path):
    path = own(
        tmp_path, "classes = ('a', 'b', 'c')\nnum_classes = len(classes)\nscale = (64, 64)\n"
    )
    cfg = read_with_options(path, {})
    assert classes_of(cfg) == 3 and {step.scale for step in steps(cfg, 'Resize')} == {(64, 64)}
    assert Config.fromfile(path).model == cfg.model  # the same for MMEngine itself
    cfg = read_with_options(path, {'classes': ('a', 'b'), 'crop_size': (32, 32)})
    assert classes_of(cfg) == 2 and cfg.model.data_preprocessor['size'] == (32, 32)


def test_own_configs_that_derive_and_override(tmp_path):
    """Dicts are merged by MMEngine as ever, and other expressions stay the file's own."""
    text = "train_cfg = {'val_interval': 5}\nbackbone = 'mine'\nmax_iters = _base_.max_iters // 2\n"
    cfg = read_with_options(own(tmp_path, text), {})
    assert cfg.train_cfg.val_interval == 5 and cfg.train_cfg.max_iters == 160000
    assert cfg.max_iters == 80000 and cfg.model.backbone.arch == 'h-s'


def test_own_configs_with_a_path_as_base_are_read_as_mmengine_reads_them(tmp_path):
    base = Path(f'configs/{UPERNET}.py').resolve()
    (tmp_path / 'own.py').write_text(f"_base_ = '{base}'\ncrop_size = (64, 64)\n")
    path = str(tmp_path / 'own.py')
    assert read_with_options(path, {}).model.data_preprocessor['size'] == (512, 512)
    given = read_with_options(path, {'crop_size': (96, 96)})
    assert given.model.data_preprocessor['size'] == given.crop_size == (96, 96)


def test_variables_of_a_file_that_inherits_through_another(tmp_path):
    (tmp_path / 'own.py').write_text(
        "_base_ = 'mmfreq::upernet_gfnet_h_s_ade20k.py'\n"
        'crop_size = (256, 256)\n'
        'own_pipeline = [dict(crop_size=crop_size)]\n'
    )
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder/smaller.py').write_text("_base_ = '../own.py'\ncrop_size = (64, 64)\n")
    (tmp_path / 'smallest.py').write_text(
        "_base_ = ['folder/smaller.py']\nclasses = ('a', 'b', 'c')\nnum_classes = len(classes)\n"
    )
    for name in ('folder/smaller.py', 'smallest.py'):
        cfg = Config.fromfile(tmp_path / name)
        assert cfg.model.backbone.img_size == cfg.own_pipeline[0].crop_size == (64, 64)
        assert cfg.model.test_cfg.crop_size == (64, 64)
    assert cfg.model.decode_head.num_classes == 3
    assert Config.fromfile(tmp_path / 'own.py').model.backbone.img_size == (256, 256)
