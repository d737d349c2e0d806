"""Runs that several test files look at."""

import pytest
import torch
from process import ADE, COCO, output, python

from mmfreq.models import GFNet


@pytest.fixture(scope='session')
def pretrained(tmp_path_factory):
    """A backbone's checkpoint."""
    path = tmp_path_factory.mktemp('pretrained') / 'h-ti.pth'
    torch.save({'model': GFNet(arch='h-ti', img_size=32, out_norm=None).state_dict()}, path)
    return path


@pytest.fixture(scope='session')
def segmentor(mini_data, pretrained, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('segmentor')
    options = ['--data-root', mini_data / 'ADEChallengeData2016', '--work-dir', work_dir]
    done = python(
        *('tools/train.py', ADE, *options, '--pretrained', pretrained, '--tensorboard'),
    )
    return work_dir, options, output(done)


@pytest.fixture(scope='session')
def detector(mini_data, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('detector')
    options = ['--data-root', mini_data / 'coco', '--work-dir', work_dir]
    done = python('tools/train.py', COCO, *options)
    return work_dir, options, output(done)
