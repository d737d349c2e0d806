"""FDConv by ``conv_cfg`` in every backbone of the OpenMMLab libraries that has this argument."""

import inspect
from copy import deepcopy
from importlib import import_module

import pytest
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmdet.models.backbones.trident_resnet import TridentConv
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from mmpretrain.models.utils.sparse_modules import SparseHelper
from torch import nn

from mmfreq.models import FDConv


def backbones():
    for library in ('mmseg', 'mmdet', 'mmpretrain'):
        import_module(f'{library}.models')
        for name, kind in import_module(f'{library}.registry').MODELS.module_dict.items():
            if not kind.__module__.startswith(f'{library}.models.backbones'):
                continue
            constructors = (base.__init__ for base in kind.__mro__ if issubclass(base, BaseModule))
            if any('conv_cfg' in inspect.signature(init).parameters for init in constructors):
                yield f'{library}.{name}', kind


BACKBONES = dict(backbones())

# Required arguments, and some that make networks small, also of several libraries' networks.
STAGES = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
BASIC = dict(depth=18, stem_channels=20, base_channels=20, **STAGES)
BOTTLENECK = BASIC | dict(depth=50)
EXTRA = {
    f'stage{branches}': dict(
        num_modules=1,
        num_branches=branches,
        block='BASIC',
        num_blocks=(1,) * branches,
        num_channels=(18, 20, 22, 24)[:branches],
    )
    for branches in (1, 2, 3, 4)
}
ARGUMENTS = {
    'ResNet': BASIC,
    'ResNetV1c': BASIC,
    'ResNetV1d': BASIC,
    'ResNet_CIFAR': BASIC,
    'SparseResNet': BOTTLENECK,
    'SEResNet': BOTTLENECK,
    'ResNeXt': BOTTLENECK | dict(groups=4),
    'SEResNeXt': BOTTLENECK | dict(groups=4),
    'ResNeSt': BOTTLENECK,
    'Res2Net': BOTTLENECK,
    'RegNet': dict(arch='regnetx_400mf'),
    'HRNet': dict(extra=EXTRA),
    'mmseg.BiSeNetV1': dict(backbone_cfg=dict(type='ResNet', depth=18)),
    'mmseg.ICNet': dict(
        backbone_cfg=dict(type='ResNetV1c', depth=18, base_channels=20),
        layer_channels=(40, 160),
        psp_out_channels=20,
    ),
    'mmseg.UNet': dict(base_channels=18),
    'mmdet.CSPDarknet': dict(deepen_factor=0.34, widen_factor=0.25),
    'mmdet.CSPNeXt': dict(deepen_factor=0.34, widen_factor=0.25),
    'mmdet.DetectoRS_ResNet': BOTTLENECK,
    'mmdet.DetectoRS_ResNeXt': BOTTLENECK | dict(groups=4),
    'mmdet.TridentResNet': dict(
        depth=50,
        base_channels=20,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        num_branch=3,
        test_branch_idx=1,
        trident_dilations=(1, 2, 3),
    ),
    'mmpretrain.CSPDarkNet': dict(depth=53),
    'mmpretrain.CSPResNet': dict(depth=50),
    'mmpretrain.CSPResNeXt': dict(depth=50),
    'mmpretrain.EfficientNetV2': dict(arch='b0'),
    'mmpretrain.MobileOne': dict(arch='s0'),
    'mmpretrain.MobileViT': dict(arch='xx_small'),
    'mmpretrain.RepLKNet': dict(
        arch=dict(
            large_kernel_sizes=(5,) * 4,
            small_kernel=3,
            layers=(1,) * 4,
            channels=(20,) * 4,
            dw_ratio=1,
        )
    ),
    'mmpretrain.RepMLPNet': dict(
        arch=dict(channels=[20, 40], depths=[1, 1], sharesets_nums=[1, 4]),
        out_indices=(1,),
        img_size=64,
    ),
    'mmpretrain.RepVGG': dict(arch='A0', base_channels=24),
    'mmpretrain.VGG': dict(depth=11),
}

# Architectures in place of the only one that a network knows, where that is large.
CHANNELS = ((32, 36), (36, 40), (40, 44), (44, 48), (48, 52))
ARCH_SETTINGS = {
    'mmdet.Darknet': {53: ((1,) * 5, CHANNELS)},
    'mmpretrain.CSPDarkNet': {
        53: dict(
            BACKBONES['mmpretrain.CSPDarkNet'].arch_settings[53],
            in_channels=[pair[0] for pair in CHANNELS],
            out_channels=[pair[1] for pair in CHANNELS],
            num_blocks=(1,) * 5,
        )
    },
}

# Networks that leave all layers plain, though some are dense, have more than 16 channels and a
# kernel that could be dynamic.
PLAIN = {
    'mmseg.BiSeNetV1': 'hands conv_cfg to no layer',
    'mmseg.BiSeNetV2': 'hands conv_cfg to no layer',
    'mmseg.ERFNet': 'hands conv_cfg to no layer',
    'mmpretrain.RepLKNet': 'hands conv_cfg to no layer',
    'mmpretrain.RepMLPNet': 'hands conv_cfg to grouped and 2x2 convolutions only',
}
# Networks of plain convolutions that MMCV's fuse_conv_bn breaks.
UNFUSABLE = {
    'mmseg.CGNet': 'norms of several convolutions, concatenated',
    'mmseg.ERFNet': 'norms of a convolution and a pooling, concatenated',
    'mmpretrain.RepMLPNet': 'norms of reshaped features',
}


@pytest.fixture(params=BACKBONES)
def name(request):
    """Name of a backbone, in whose library's scope the test runs."""
    with DefaultScope.overwrite_default_scope(request.param.split('.')[0]):
        yield request.param


def build(name, layer, **kwargs):
    arguments = ARGUMENTS.get(name) or ARGUMENTS.get(name.split('.')[1], {})
    return BACKBONES[name](**arguments, conv_cfg=dict(type=layer), **kwargs)


def maps(network, images):
    outputs = network(images)
    return outputs if isinstance(outputs, tuple | list) else (outputs,)


@pytest.mark.thorough
def test_any_backbone(name, tmp_path, monkeypatch):
    if name == 'mmpretrain.SparseResNet':  # its pre-training sets which patches are seen
        monkeypatch.setattr(SparseHelper, '_cur_active', torch.rand(2, 1, 4, 4) > 0.5)
    if name in ARCH_SETTINGS:
        monkeypatch.setattr(BACKBONES[name], 'arch_settings', ARCH_SETTINGS[name])
    images = torch.randn(2, 3, 64, 64)
    plain = build(name, 'Conv2d')
    plain.init_weights()
    for module in plain.modules():
        if isinstance(module, TridentConv):  # what was in memory before
            nn.init.kaiming_normal_(module.weight)
    for key, tensor in plain.state_dict().items():
        if key.endswith(('running_mean', 'bias')):
            tensor.normal_(std=0.1)
        elif key.endswith('running_var'):
            tensor.uniform_(0.5, 2)
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth'))
    network = build(name, 'mmfreq.FDConv', init_cfg=init_cfg)
    network.init_weights()
    layers = [module for module in network.modules() if isinstance(module, FDConv)]
    assert bool(layers) == (name not in PLAIN)

    plain.eval(), network.eval()
    with torch.no_grad():
        agree(maps(network, images), maps(plain, images))

    network.train()
    sum(output.mean() for output in maps(network, images)).backward()
    assert all(param.grad is not None for layer in layers for param in layer.parameters())

    network.eval()
    for layer in layers:
        for param in layer.modulation_parameters():
            nn.init.normal_(param, std=0.01)
    with torch.no_grad():
        expected = maps(network, images)
        copy = deepcopy(network)
        agree(maps(copy, images), expected)
        if name not in UNFUSABLE:
            agree(maps(fuse_conv_bn(copy), images), expected)


def agree(outputs, expected):
    for output, reference in zip(outputs, expected, strict=True):
        assert (output - reference).norm() < 1e-5 * reference.norm()
