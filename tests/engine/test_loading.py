"""What a model has of the checkpoints that its config names."""

import pytest
import torch
from mmengine.model import BaseModel, BaseModule
from mmpretrain.models.backbones import ResNet
from torch import nn

from mmfreq.engine.plain_checkpoints import restore_logs
from mmfreq.engine.pretrained import check_fit, check_loaded
from mmfreq.engine.runner import Runner
from mmfreq.models import GFNet
from mmfreq.models.pretrained import load_whole
from mmfreq.utils.errors import CheckpointError


class Model(BaseModel):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, inputs, data_samples=None, mode='tensor'):
        raise NotImplementedError


def resnet(init_cfg=None):
    return ResNet(depth=18, base_channels=8, init_cfg=init_cfg)


@pytest.fixture
def file(tmp_path):
    """Weights of a whole classifier."""
    torch.manual_seed(1)
    path = str(tmp_path / 'classifier.pth')
    torch.save({'state_dict': Model(resnet()).state_dict()}, path)
    return path


def initialised(file, **entry):
    model = Model(resnet(dict(type='Pretrained', checkpoint=file, **entry)))
    model.init_weights()
    check_loaded(model)
    return model


@pytest.mark.parametrize('prefix', ['backbone', 'backbone.'])
def test_init_cfg_with_prefix(file, prefix):
    stem = torch.load(file)['state_dict']['backbone.conv1.weight']
    assert initialised(file, prefix=prefix).backbone.conv1.weight.equal(stem)


def test_init_cfg_that_loads_nothing(file):
    """MMEngine warns and trains from random weights."""
    with pytest.raises(CheckpointError, match=r'no tensor of backbone.*begin with backbone: set p'):
        initialised(file)


def test_networks_that_rename_what_they_load(tmp_path):
    class Renaming(BaseModule):  # as mmdet's Swin does it with the files of its authors
        def __init__(self, init_cfg):
            super().__init__(init_cfg)
            self.layer = nn.Linear(3, 3)

        def init_weights(self):
            state = torch.load(self.init_cfg['checkpoint'])
            self.layer.weight.data.copy_(state['other.name'])

    path = str(tmp_path / 'a.pth')
    torch.save({'other.name': torch.randn(3, 3)}, path)
    model = Model(Renaming(dict(type='Pretrained', checkpoint=path)))
    model.init_weights()
    check_loaded(model)


def test_initialisation_without_a_checkpoint_is_as_written():
    normal = dict(type='TruncNormal', layer='Linear', std=1e-4)
    model = Model(GFNet(arch='h-ti', img_size=32, init_cfg=normal))
    model.init_weights()
    check_loaded(model)
    assert model.backbone.stages[0].blocks[0].mlp.fc1.weight.std() < 2e-4


def test_load_from_that_fits_in_nothing(file):
    weights = torch.load(file)['state_dict']
    check_fit(Model(resnet()), weights, file)
    with pytest.raises(CheckpointError, match='has no tensor of this ResNet'):
        check_fit(resnet(), weights, file)


def test_whole_models(file):
    model, weights = Model(resnet()), torch.load(file)['state_dict']
    load_whole(model, {**weights, 'head.weight': torch.ones(1)}, file, 'it')
    assert model.backbone.conv1.weight.equal(weights['backbone.conv1.weight'])
    stem = weights.pop('backbone.conv1.weight')
    with pytest.raises(
        CheckpointError, match=r'does not fit it: .*missing backbone\.conv1\.weight'
    ):
        load_whole(model, weights, file, 'it')
    for changed in (stem[:4], stem[:, :2]):
        shaped = {**weights, 'backbone.conv1.weight': changed}
        with pytest.raises(CheckpointError, match=r'of another shape backbone\.conv1\.weight'):
            load_whole(model, shaped, file, 'it')


def test_a_run_goes_on_at_its_own_size_only():
    """Filters can be resized, the state of an optimiser cannot."""
    small, large = (GFNet(arch='h-ti', img_size=size) for size in (32, 64))
    load_whole(large, small.state_dict(), 'a.pth', 'it')
    with pytest.raises(CheckpointError, match='of another shape'):
        load_whole(large, small.state_dict(), 'a.pth', 'it', same_sizes=True)


@pytest.mark.parametrize('nesting', ['model', 'module', 'state_dict'])
def test_load_from_takes_what_is_checked(file, tmp_path, nesting):
    """MMEngine looks for weights under one name and warns that nothing fits."""
    weights = torch.load(file)['state_dict']
    path = str(tmp_path / 'nested.pth')
    torch.save({nesting: weights}, path)
    runner = Runner(
        model=Model(resnet()), work_dir=str(tmp_path / nesting), experiment_name=nesting
    )
    runner.load_checkpoint(path)
    assert runner.model.backbone.conv1.weight.equal(weights['backbone.conv1.weight'])


def test_statistics_of_batch_norms_are_no_minor_part(file):
    model, weights = Model(resnet()), torch.load(file)['state_dict']
    weights.pop('backbone.bn1.running_var')
    with pytest.raises(CheckpointError, match=r'missing backbone\.bn1\.running_var'):
        load_whole(model, weights, file, 'it')


@pytest.mark.parametrize('value', [[], dict(a='x'), dict(a=dict(values=1, counts=2, max_length=3))])
def test_damaged_logs_end_in_an_error_or_are_left(value):
    checkpoint = dict(message_hub=dict(log_scalars=value))
    try:
        restore_logs(checkpoint)
    except CheckpointError as error:
        assert 'damaged log' in str(error)
