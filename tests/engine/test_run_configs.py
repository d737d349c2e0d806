import pytest
import torch
from mmengine.config import Config

from mmfreq.engine import data_roots, pretrained, run_configs

ADE, COCO = 'configs/upernet_gfnet_h_ti_ade20k.py', 'configs/mask_rcnn_gfnet_h_ti_coco.py'


def strings(node):
    if isinstance(node, dict):
        node = node.values()
    if isinstance(node, str):
        yield node
    elif not isinstance(node, (int, float, bool, type(None))):
        for child in node:
            yield from strings(child)


@pytest.mark.parametrize(
    ('path', 'old'), [(ADE, 'data/ade/ADEChallengeData2016'), (COCO, 'data/coco')]
)
@pytest.mark.parametrize('root', ['/new/place', '/new/place/'])
def test_data_root_is_replaced_everywhere(path, old, root):
    cfg = Config.fromfile(path)
    before = [text for text in strings(cfg._cfg_dict) if text.startswith(old)]
    data_roots.set_data_root(cfg, root)
    after = list(strings(cfg._cfg_dict))
    assert not [text for text in after if text.startswith('data/')]
    assert len(before) >= 4
    expected = ['/new/place' + text[len(old) :] for text in before]
    assert [text for text in after if text.startswith('/new')] == expected


@pytest.mark.parametrize('path', [ADE, COCO])
def test_missing_data_is_explained_in_one_message(path):
    with pytest.raises(FileNotFoundError) as error:
        run_configs.read_config(path, None, None, '/nowhere')
    message = str(error.value)
    assert '/nowhere does not exist' in message
    for help_text in (
        'ADEChallengeData2016.zip',
        'train2017',
        '--data-root',
        'render_mini_data.py',
    ):
        assert help_text in message


def test_missing_part_of_the_data_is_named(mini_data, tmp_path):
    (tmp_path / 'coco').symlink_to(mini_data / 'coco')
    options = {'val_dataloader.dataset.ann_file': 'annotations/none.json'}
    with pytest.raises(FileNotFoundError, match=r'coco/annotations/none\.json does not exist'):
        run_configs.read_config(COCO, options, None, str(tmp_path / 'coco'))


@pytest.mark.parametrize(
    ('work_dir', 'options', 'expected'),
    [
        (None, None, 'work_dirs/mask_rcnn_gfnet_h_ti_coco'),
        ('/tmp/x', None, '/tmp/x'),
        (None, dict(work_dir='/tmp/y'), '/tmp/y'),
    ],
)
def test_work_dir(mini_data, work_dir, options, expected):
    cfg = run_configs.read_config(COCO, options, work_dir, str(mini_data / 'coco'))
    assert cfg.work_dir == expected


@pytest.fixture
def weights(tmp_path):
    """A file of a backbone and one of a classifier."""
    torch.save({'model': {'weight': torch.ones(1)}}, tmp_path / 'a.pth')
    torch.save({'state_dict': {'backbone.weight': torch.ones(1)}}, tmp_path / 'b.pth')
    return [str(tmp_path / name) for name in ('a.pth', 'b.pth')]


TRUNCATED = dict(type='TruncNormal', layer='Linear', std=1e-4)


def test_pretrained_replaces_the_checkpoint_and_nothing_else(weights):
    def after(init_cfg, source, kind='mmpretrain.ResNet', **model):
        backbone = dict(type=kind, init_cfg=init_cfg, pretrained=model.get('pretrained'))
        cfg = Config(dict(model=dict(backbone=backbone, **model)))
        pretrained.set_pretrained(cfg, source)
        assert not cfg.model.get('pretrained') and not cfg.model.backbone.pretrained
        return cfg.model.backbone.init_cfg

    plain, whole = weights
    former = dict(type='Pretrained', checkpoint='former.pth', prefix='model.', map_location='cpu')
    assert after(None, plain) == dict(type='Pretrained', checkpoint=plain)
    assert after(None, whole) == dict(type='Pretrained', checkpoint=whole, prefix='backbone.')
    assert after(None, whole, 'mmfreq.GFNet') == dict(type='Pretrained', checkpoint=whole)
    assert after(former, whole) == dict(former, checkpoint=whole)
    assert after([TRUNCATED, former], plain) == [TRUNCATED, dict(former, checkpoint=plain)]
    assert after(TRUNCATED, plain) == [TRUNCATED, dict(type='Pretrained', checkpoint=plain)]
    assert after([TRUNCATED, former], 'none') == [TRUNCATED]
    assert after(former, 'none', pretrained='open-mmlab://resnet50_v1c') is None


def test_pretrained_inside_of_a_wrapper(weights):
    inner = dict(type='X', backbone=dict(type='mmfreq.GFNet'))
    cfg = Config(dict(model=dict(type='Teacher', detector=inner)))
    pretrained.set_pretrained(cfg, weights[0])
    assert cfg.model.detector.backbone.init_cfg.checkpoint == weights[0]
    for model, found in (
        (dict(type='X'), 'none'),
        (dict(a=inner, b=inner), r'several: model\.a\.backbone, model\.b\.backbone'),
    ):
        with pytest.raises(ValueError, match=f'--pretrained.*{found}'):
            pretrained.set_pretrained(Config(dict(model=model)), weights[0])


def test_pretrained_of_a_host_with_fdconv(weights):
    """The host's own checkpoint gives way, and the file is looked at as the host's."""
    former = dict(type='Pretrained', checkpoint='former.pth')
    for source in (weights[1], 'none'):
        host = dict(type='mmpretrain.ResNet', init_cfg=[TRUNCATED, former])
        backbone = dict(type='mmfreq.FDConvBackbone', backbone=host)
        cfg = Config(dict(model=dict(type='X', backbone=backbone)))
        pretrained.set_pretrained(cfg, source)
        found = cfg.model.backbone
        assert found.backbone.init_cfg == [TRUNCATED]
        entry = dict(type='Pretrained', checkpoint=source, prefix='backbone.')
        assert found.init_cfg == (None if source == 'none' else entry)


def test_pretrained_decides_also_where_others_name_a_checkpoint(weights):
    former = dict(type='Pretrained', checkpoint='former.pth')
    for source in (weights[0], 'none'):
        model = dict(init_cfg=[TRUNCATED, former], backbone=dict(type='mmfreq.GFNet'))
        cfg = Config(dict(model=model, load_from='former.pth'))
        pretrained.set_pretrained(cfg, source)
        assert cfg.load_from is None and cfg.model.init_cfg == [TRUNCATED]
    resumed = Config(dict(model=model, load_from='run/iter_2.pth', resume=True))
    pretrained.set_pretrained(resumed, 'none')
    assert resumed.load_from == 'run/iter_2.pth'


def test_checkpoints_that_a_config_names_are_read_before_the_run(weights, tmp_path):
    for model in (
        dict(backbone=dict(init_cfg=[TRUNCATED, dict(type='Pretrained', checkpoint='C')])),
        dict(pretrained='C', backbone=dict(type='X')),
        dict(detector=dict(neck=dict(init_cfg=dict(type='Pretrained', checkpoint='C')))),
    ):
        text = str(model)
        known = Config(dict(model=eval(text.replace("'C'", repr(weights[0])))))
        assert pretrained.check_pretrained(known)
        with pytest.raises(FileNotFoundError, match='C'):
            pretrained.check_pretrained(Config(dict(model=model)))
    assert not pretrained.check_pretrained(Config(dict(model=dict(init_cfg=TRUNCATED))))


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_amp_needs_a_gpu():
    with pytest.raises(ValueError, match='--amp needs a GPU'):
        run_configs.enable_amp(Config.fromfile(ADE))


def test_amp_is_ready_to_switch_on(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = Config.fromfile(ADE)
    run_configs.enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.optimizer.type == 'AdamW'


def test_tta_needs_a_recipe():
    cfg = Config(dict(model=dict(type='X')))
    with pytest.raises(ValueError, match='--tta needs tta_model and tta_pipeline'):
        run_configs.enable_tta(cfg)


@pytest.mark.parametrize('text', ['config', 'cfg'])
@pytest.mark.parametrize('place', ['path', 'address'])
def test_config_text_in_a_checkpoint_never_reaches_mmengine(tmp_path, monkeypatch, text, place):
    from mmengine.runner.checkpoint import CheckpointLoader

    content = dict(state_dict={'weight': torch.ones(1)}, meta={text: 'raise SystemExit', 'iter': 3})
    torch.save(content, tmp_path / 'a.pth')
    name = str(tmp_path / 'a.pth')
    if place == 'address':  # as if it had been downloaded before
        monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
        (tmp_path / 'checkpoints').symlink_to(tmp_path)
        name = 'https://example.org/a.pth'
    schemes = dict(CheckpointLoader._schemes)
    pretrained.read_only_safe_checkpoints()
    try:
        loaded = CheckpointLoader.load_checkpoint(name, 'cpu')
    finally:
        CheckpointLoader._schemes = schemes
    assert loaded['meta'] == {'iter': 3}
