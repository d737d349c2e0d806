"""The command for each published result: of configs that exist, with options that fit them."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction

from mmfreq.analysis.zoo.reproduction import command_for
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.registry import MODELS
from mmfreq.zoo import PEERS

SOURCES = Sources()
NAMES = sorted({r['of'] for r in SOURCES.published.results if r['of'] not in PEERS})


@pytest.mark.parametrize('name', NAMES)
def test_command(name):
    command, _, options = command_for(name, SOURCES).partition(' --cfg-options ')
    found = re.fullmatch(
        r'mmfreq test (\w+) FILE --data-root \S+'
        r'|bash tools/dist_train\.sh configs/(\w+)\.py (\d+) --data-root \S+( --pretrained FILE)?',
        command,
    )
    assert found, command
    path = Path('configs') / f'{found[1] or found[2]}.py'
    config = Config.fromfile(path)
    if options:
        key, _, value = options.partition('=')
        config.merge_from_dict({key: DictAction._parse_iterable(value)})
    if found[2]:
        batch = int(found[3]) * config.train_dataloader.batch_size
        assert batch == config.auto_scale_lr.base_batch_size
    if path.stem != name:  # a classifier of the backbone
        backbone = config.model.backbone
        arch = MODELS.get(backbone.type).arch_settings[backbone.arch]
        assert f'{backbone.type.split(".")[-1].lower()}-{backbone.arch}' == name
        assert config.model.head.in_channels == arch['embed_dims'][-1]


def test_released_files_are_tested_and_others_trained():
    assert command_for('hornet-tiny-7x7', SOURCES) == (
        'mmfreq test hornet_tiny_gf_in1k FILE --data-root /data/imagenet '
        '--cfg-options model.backbone.arch=tiny-7x7'
    )
    assert command_for('faster_rcnn_fdconv_r50_coco', SOURCES).startswith(
        'bash tools/dist_train.sh configs/faster_rcnn_fdconv_r50_coco.py 2 '
    )
    assert command_for('deeplabv3_affnet_t_ade20k', SOURCES).endswith(' --pretrained FILE')
