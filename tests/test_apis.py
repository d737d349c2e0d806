"""Backbones by name, for users of plain PyTorch, torchvision, timm and smp."""

import subprocess
import sys
from collections import OrderedDict

import pytest
import torch
from torch import nn

import mmfreq
from mmfreq import facts

SMALL = ['gfnet-ti', 'gfnet-h-ti', 'dfformer-s18', 'affnet-et', 'dsm-s', 'fdresnet-18']


def test_importing_the_package_loads_nothing():
    code = (
        'import mmfreq, sys; print([n for n in ("torch", "mmengine", "mmcv") if n in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
    assert set(mmfreq.__all__) <= set(dir(mmfreq))


def test_names():
    assert mmfreq.list_backbones('gf*-ti') == ['gfnet-ti', 'gfnet-h-ti']
    assert 'resnet-50' not in mmfreq.list_backbones()
    with pytest.raises(ValueError, match=r'did you mean .*gfnet-h-s'):
        mmfreq.create_backbone('gfnet-hs')
    with pytest.raises(ValueError, match='get_model'):
        mmfreq.create_backbone('resnet-50')
    with pytest.raises(TypeError, match=r'did you mean .*drop_path_rate'):
        mmfreq.create_backbone('gfnet-h-ti', drop_path=0.1)


@pytest.mark.parametrize('name', SMALL)
def test_outputs_are_what_they_say(name):
    backbone = mmfreq.create_backbone(name, in_channels=4, img_size=64, out_indices=(1, 3)).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(2, 4, 96, 64))
    assert tuple(x.shape[1] for x in maps) == backbone.out_channels
    assert tuple((96 // x.shape[2], 64 // x.shape[3]) for x in maps) == tuple(
        (stride, stride) for stride in backbone.out_strides
    )


def test_strides_that_are_dilated():
    backbone = mmfreq.create_backbone('affnet-et', output_stride=16).eval()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 64))
    assert backbone.out_strides == tuple(64 // x.shape[2] for x in maps) == (4, 8, 16, 16)


def test_checkpoints(tmp_path, monkeypatch):
    first = mmfreq.create_backbone('affnet-et')
    torch.save(first.state_dict(), tmp_path / 'a.pth')
    second = mmfreq.create_backbone('affnet-et', checkpoint=str(tmp_path / 'a.pth'))
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    with pytest.raises(ValueError, match='no address of released weights of dsm-s'):
        mmfreq.create_backbone('dsm-s', checkpoint='released')
    known = facts.read_published().weights
    assert {row['of'] for row in known} <= set(mmfreq.list_backbones())
    assert all(row['url'].startswith('https://') and row['licence'] for row in known)


def test_torchvision_fpn_and_detector():
    from torchvision.models.detection import FasterRCNN
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    class WithFPN(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mmfreq.create_backbone('gfnet-h-ti', img_size=64)
            self.fpn = FeaturePyramidNetwork(self.body.out_channels, 32, LastLevelMaxPool())
            self.out_channels = 32

        def forward(self, images):
            maps = self.body(images)
            return self.fpn(OrderedDict((str(i), x) for i, x in enumerate(maps)))

    model = FasterRCNN(WithFPN(), num_classes=3, min_size=64, max_size=64)
    target = dict(boxes=torch.tensor([[4.0, 4.0, 40.0, 40.0]]), labels=torch.tensor([1]))
    losses = model(torch.rand(1, 3, 64, 64).unbind(), [target])
    sum(losses.values()).backward()
    assert model.backbone.body.patch_embed.proj.weight.grad.abs().sum() > 0
    assert set(model.eval()([torch.rand(3, 64, 64)])[0]) == {'boxes', 'labels', 'scores'}


def test_segmentation_models_pytorch_decoder():
    from segmentation_models_pytorch.base import SegmentationHead
    from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder

    encoder = mmfreq.create_backbone('gfnet-h-ti', img_size=64)
    channels = (3, 3, *encoder.out_channels)  # smp counts the image and stride 2, too
    decoder = FPNDecoder(channels, encoder_depth=5, pyramid_channels=32, segmentation_channels=32)
    head = SegmentationHead(32, 2, upsampling=4)
    images = torch.randn(2, 3, 64, 64)
    half = nn.functional.avg_pool2d(images, 2)
    logits = head(decoder([images, half, *encoder(images)]))
    assert logits.shape == (2, 2, 64, 64)


def test_timm_features_only_users():
    """What code written for timm's features_only asks of a network."""
    import timm

    theirs = timm.create_model('resnet18', features_only=True, out_indices=(1, 2, 3, 4))
    ours = mmfreq.create_backbone('gfnet-h-ti')
    assert theirs.feature_info.reduction() == list(ours.out_strides)
    images = torch.randn(1, 3, 64, 64)
    assert [x.shape[2:] for x in theirs(images)] == [x.shape[2:] for x in ours(images)]


def test_exported_program():
    backbone = mmfreq.create_backbone('gfnet-h-ti', img_size=64).eval()
    images = torch.randn(1, 3, 64, 64)
    program = torch.export.export(backbone, (images,)).module()
    for a, b in zip(backbone(images), program(images), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('imports', 'works'),
    [
        ('import mmfreq', True),
        ('import mmengine.config, mmfreq', True),
        ('import mmengine', False),  # which cannot know of it
    ],
)
def test_configs_may_inherit_from_ours(tmp_path, imports, works):
    (tmp_path / 'own.py').write_text(
        "_base_ = 'mmfreq::upernet_gfnet_h_s_ade20k.py'\n"
        'model = dict(decode_head=dict(channels=64))\n'
    )
    read = 'print(Config.fromfile("own.py").model.decode_head.channels)'
    code = f'{imports}\nfrom mmengine.config import Config\n{read}'
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout.split()[-1:] == ['64']) == works, done.stderr
