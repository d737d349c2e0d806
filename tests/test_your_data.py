"""docs/your_data.md as it stands: every command runs, shortened by options that it names."""

import re
import shlex
from pathlib import Path

import pytest
from pages import blocks, desk, shell
from PIL import Image

from mmfreq.utils.config_files import read_model_config

PAGE = 'docs/your_data.md'
BLOCKS = blocks(PAGE)
COMMANDS = [b for block in BLOCKS if block.language == 'bash' for b in block.text.splitlines()]
SMALL = (
    'default_hooks.logger.interval=1 scale=(160,120) train_dataloader.num_workers=1 '
    'val_dataloader.num_workers=1'
)
SHORT = {
    'camvid.py': f'{SMALL} train_cfg.max_iters=2 crop_size=(96,96) '
    'val_dataloader.dataset.indices=3',
    'two.py': f'{SMALL} train_cfg.max_epochs=1 train_dataloader.dataset.indices=4 '
    'val_dataloader.dataset.indices=4 model.test_cfg.score_thr=0.0',  # so that it finds something
    'objects.py': 'max_epochs=1 crop_size=(64,64) scale=72 train_dataloader.num_workers=1 '
    'val_dataloader.num_workers=1 train_dataloader.dataset.indices=64',
}


def run(command, folder):
    name, *arguments = shlex.split(command)[:3]
    if name == 'mmfreq' and arguments[0] == 'train':
        command += f' --cfg-options {" ".join(map(shlex.quote, SHORT[arguments[1]].split()))}'
    command = command.replace('data/coco/val2017', 'data/coco/val2017/*09.jpg')  # fewer images
    return shell(command, folder)


@pytest.fixture
def folder(tmp_path, shared, monkeypatch):
    """A folder as the page has it."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/camvid').symlink_to(shared / 'data/camvid')
    (tmp_path / 'data/coco').symlink_to(shared / 'data/coco_mini')
    return desk(tmp_path, monkeypatch)


def commands_about(name):
    return [command for command in COMMANDS if name in command]


def test_every_command_is_run():
    about = [commands_about(name) for name in ('camvid', 'two', 'objects')]
    assert [command for commands in about for command in commands] == COMMANDS


@pytest.mark.thorough
def test_camvid(folder):
    inspect, *others = commands_about('camvid')
    said = run(inspect, folder)
    shown = re.search('```\n(pairs of.*?)```', Path(PAGE).read_text(), re.DOTALL)[1]
    assert shown in said
    assert len((folder / 'camvid.py').read_text().splitlines()) == 13
    for command in others:
        run(command, folder)
    cfg = read_model_config(str(folder / 'camvid.py'))
    assert cfg.classes[3] == 'road' and cfg.model.decode_head.num_classes == 11
    assert Image.open(folder / 'camvid.jpg').size[0] == 996
    assert (folder / 'camvid_log.png').is_file()
    assert (folder / 'predictions/shares.csv').is_file()
    assert len(list((folder / 'predictions').glob('*_overlay.jpg'))) >= 2


@pytest.mark.thorough
def test_two_classes_of_coco(folder):
    for command in commands_about('two'):
        run(command, folder)
    cfg = read_model_config(str(folder / 'two.py'))
    assert cfg.model.bbox_head.num_classes == 2
    assert (folder / 'two_log.png').is_file()
    assert (folder / 'detections/detections.json').is_file()


@pytest.mark.thorough
def test_a_folder_for_each_class(folder):
    (config,) = [block.text for block in BLOCKS if block.language == 'python']
    crop, *others = commands_about('objects')
    assert run(crop, folder).splitlines()[-1] in config
    (folder / 'by_hand.py').write_text(config)
    for command in others:
        run(command, folder)
    by_hand, own = (
        read_model_config(str(folder / f'{name}.py')) for name in ('by_hand', 'objects')
    )
    assert own.classes == by_hand.classes and own.model.head == by_hand.model.head
    assert Image.open(folder / 'objects.jpg').width == 2 * 252 + 12
    assert (folder / 'kinds/classes.csv').is_file()
