"""Images of other numbers of channels, and RGB weights for them."""

import pytest
import torch
from families import TINY
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torchvision.models import resnet18

from mmfreq.analysis.speed.workloads import data_samples
from mmfreq.models import FDResNet
from mmfreq.models.pretrained import load_pretrained
from mmfreq.registry import MODELS

# How images of a number of channels are made of one RGB image, so that adapted weights give the
# features that the RGB weights give for the second.
SAME_FEATURES = {
    1: lambda rgb: (rgb[:, :1], rgb[:, :1].expand(-1, 3, -1, -1)),
    6: lambda rgb: (rgb.repeat(1, 2, 1, 1), rgb),
}


@pytest.fixture(params=TINY.values(), ids=TINY)
def tiny(request):
    return request.param


def save(model, folder):
    torch.save({'state_dict': model.state_dict()}, folder / 'a.pth')
    return dict(type='Pretrained', checkpoint=str(folder / 'a.pth'))


@pytest.mark.parametrize('channels', [1, 2, 4, 13])
def test_features_and_gradients(tiny, channels):
    model = tiny(in_channels=channels).train()
    assert model.in_channels == channels
    loss = sum((out**2).mean() for out in model(torch.randn(2, channels, 64, 70)))
    loss.backward()
    stem = dict(model.named_parameters())[model.stem_weight]
    assert stem.shape[1] == channels and stem.grad.abs().sum((0, 2, 3)).all()


def test_three_by_default(tiny):
    assert tiny().in_channels == 3


@pytest.mark.parametrize('channels', SAME_FEATURES)
def test_adapted_weights_see_the_same(tiny, channels, tmp_path):
    rgb = tiny().double().eval()
    adapted = tiny(in_channels=channels, init_cfg=save(rgb, tmp_path)).double().eval()
    adapted.init_weights()
    images, as_rgb = SAME_FEATURES[channels](torch.randn(2, 3, 64, 72, dtype=torch.float64))
    with torch.no_grad():
        for ours, theirs in zip(adapted(images), rgb(as_rgb), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_four_channels_meet_the_filters_in_turn(tiny, tmp_path, log):
    rgb = tiny()
    model = tiny(in_channels=4, init_cfg=save(rgb, tmp_path))
    model.init_weights()
    before, after = rgb.state_dict()[rgb.stem_weight], model.state_dict()[model.stem_weight]
    torch.testing.assert_close(after, 0.75 * before[:, [0, 1, 2, 0]], rtol=0, atol=0)
    assert f'  adapted to 4 input channels: {model.stem_weight}' in log.records[-1].getMessage()


def test_a_plain_resnet_for_four_channels(tmp_path):
    plain = resnet18()
    torch.save(plain.state_dict(), tmp_path / 'resnet18.pth')
    model = FDResNet(18, kernel_num=4, in_channels=4)
    coverage = load_pretrained(model, str(tmp_path / 'resnet18.pth'))
    assert coverage.resized == [model.stem_weight]
    weight = model.patch_embed[0].conv.weight.detach()
    torch.testing.assert_close(weight[:, 3], 0.75 * plain.conv1.weight[:, 0].detach())


@pytest.mark.parametrize('channels', [1, 3, 5])
def test_only_rgb_weights_are_adapted(tiny, channels, tmp_path):
    model = tiny(in_channels=channels, init_cfg=save(tiny(in_channels=4), tmp_path))
    with pytest.raises(
        ValueError, match=rf'4 channels, not {channels}.*set in_channels=4'
    ) as error:
        model.init_weights()
    assert 'a.pth' in str(error.value)


def test_own_weights_of_four_channels(tiny, tmp_path):
    trained = tiny(in_channels=4)
    model = tiny(in_channels=4, init_cfg=save(trained, tmp_path))
    model.init_weights()
    torch.testing.assert_close(dict(model.state_dict()), dict(trained.state_dict()))


GREY = dict(mean=[120.0], std=[60.0], bgr_to_rgb=False)
BACKBONE = dict(TINY['GFNet'].keywords, type='mmfreq.GFNet', in_channels=4)
RETINANET = 'configs/retinanet_gfnet_h_ti_coco.py'


def segmentor():
    head = dict(type='FCNHead', in_channels=32, in_index=3, channels=8, num_classes=150)
    preprocessor = dict(GREY, type='SegDataPreProcessor', size=(64, 64))
    return dict(
        type='EncoderDecoder',
        backbone=BACKBONE,
        decode_head=head,
        data_preprocessor=preprocessor,
    )


def detector():
    model = Config.fromfile(RETINANET).model
    model.update(backbone=BACKBONE, data_preprocessor=dict(GREY, type='DetDataPreprocessor'))
    model.neck.in_channels = [16, 24, 32]
    return model


@pytest.mark.parametrize(('scope', 'config'), [('mmseg', segmentor), ('mmdet', detector)])
def test_a_step_of_training_in_the_libraries(scope, config):
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(config())
    images = [torch.randint(256, (4, 64, 64), dtype=torch.uint8) for _ in range(2)]
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    before = model.backbone.patch_embed.proj.weight.clone()
    data = dict(inputs=images, data_samples=data_samples(scope, 2, (64, 64)))
    assert model.train_step(data, optimizer)['loss'].isfinite()
    moved = (model.backbone.patch_embed.proj.weight - before).abs().sum((0, 2, 3))
    assert moved.shape == (4,) and moved.all()


def test_wrong_numbers_are_named(tiny):
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f'in_channels must be at least 1, got {wrong}'):
            tiny(in_channels=wrong)
    with pytest.raises(ValueError, match=r'\(B, 4, H, W\).*got \(1, 3, 8, 8\); .*set in_channels'):
        tiny(in_channels=4)(torch.zeros(1, 3, 8, 8))
