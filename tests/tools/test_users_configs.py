"""What people write in a config and cannot work: one message before or at the first step."""

import re

import pytest
from mmengine.config import Config
from process import ADE, COCO, output, python


@pytest.fixture
def train(mini_data, tmp_path):
    def run(config, *options, root='ADEChallengeData2016', check=False):
        return python(
            *('tools/train.py', config, '--data-root', mini_data / root),
            *('--work-dir', tmp_path / 'run', '--pretrained', 'none'),
            *(('--cfg-options', *options) if options else ()),
            check=check,
        )

    return run


def message(done):
    assert done.returncode == 1 and 'Traceback' not in output(done)
    return re.search('^error: (.*)', done.stderr, re.M)[1]


@pytest.mark.parametrize('loop', ['mmfreq.EpochBasedTrainLoop', 'EpochBasedTrainLoop'])
def test_epochs_over_a_sampler_that_never_ends(train, tmp_path, loop):
    cfg = Config.fromfile(ADE)
    cfg.train_cfg = dict(type=loop, max_epochs=2)
    cfg.dump(tmp_path / 'epochs.py')
    said = message(train(tmp_path / 'epochs.py'))
    assert 'InfiniteSampler' in said and "sampler=dict(type='DefaultSampler', shuffle=True)" in said


def test_a_batch_of_one_behind_a_pooling_to_one_pixel(train):
    said = message(train(ADE, 'train_dataloader.batch_size=1'))
    assert 'Expected more than 1 value per channel' in said
    assert 'set train_dataloader.batch_size to 2 or more' in said


def test_labels_beyond_the_classes_of_own_data(train):
    """Five classes and labels up to 150: named by file and class, not by the loss."""
    names = 'wall,building,sky,floor,tree'
    said = message(
        train(
            *(ADE, 'model.decode_head.num_classes=5'),
            'model.auxiliary_head.num_classes=5',
            'train_dataloader.dataset.type=mmfreq.BaseSegDataset',
            f'train_dataloader.dataset.metainfo.classes=[{names}]',
            f'val_dataloader.dataset.metainfo.classes=[{names}]',
        )
    )
    assert re.search(r'\.png has class id \d+, the highest one allowed is 4', said)


def test_metrics_are_logged_at_the_iteration(train, tmp_path):
    options = ['train_cfg.max_iters=4', 'train_cfg.val_interval=2']
    train(ADE, *options, check=True)
    (scalars,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    assert re.findall(r'"mIoU".*"step": (\d+)', scalars.read_text()) == ['2', '4']


def test_own_loss_of_the_program_is_still_traced(train):
    """An error at run time that no key explains shows where it happened."""
    done = train(COCO, 'model.roi_head.bbox_head.loss_cls.loss_weight=x', root='coco')
    assert done.returncode == 1
    assert 'Traceback' in output(done) and 'Traceback' not in done.stderr.splitlines()[-1]
