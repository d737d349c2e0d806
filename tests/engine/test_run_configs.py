import pytest
import torch
from mmengine.config import Config

from mmfreq.engine import run_configs

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
    run_configs.set_data_root(cfg, root)
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


def test_pretrained(tmp_path):
    cfg = Config.fromfile(ADE)
    torch.save({'model': {'weight': torch.ones(1)}}, tmp_path / 'a.pth')
    run_configs.set_pretrained(cfg, str(tmp_path / 'a.pth'))
    expected = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    assert cfg.model.backbone.init_cfg == expected
    run_configs.set_pretrained(cfg, None)
    assert cfg.model.backbone.init_cfg == expected
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        run_configs.set_pretrained(cfg, str(tmp_path / 'none.pth'))
    run_configs.set_pretrained(cfg, 'none')
    assert cfg.model.backbone.init_cfg is None


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
    run_configs.read_only_safe_checkpoints()
    try:
        loaded = CheckpointLoader.load_checkpoint(name, 'cpu')
    finally:
        CheckpointLoader._schemes = schemes
    assert loaded['meta'] == {'iter': 3}
