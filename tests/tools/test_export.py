"""ONNX files as a user writes them, and what cannot be exported."""

import os
import sys

import numpy as np
import pytest
import torch
from families import TINY
from mmengine.config import Config
from process import here, refusal
from torch import nn

from mmfreq import export
from mmfreq.int8 import export_int8
from mmfreq.zoo import build_model

onnxruntime = pytest.importorskip('onnxruntime')
onnx = pytest.importorskip('onnx')
if torch.__version__.startswith('2.6'):
    pytest.skip('its exporter cannot translate batch norms', allow_module_level=True)

EXPORT = 'tools/export_onnx.py'
SEGMENTOR = 'configs/upernet_gfnet_h_s_ade20k.py'
TINY_BACKBONE = """
        _delete_=True,
        type='mmfreq.GFNet',
        arch=dict(patch_size=4, embed_dims=(8, 16, 24, 32), depths=(1, 1, 1, 1)),
    """
TINY_SEGMENTOR = f"""
_base_ = '{os.getcwd()}/configs/upernet_gfnet_h_s_ade20k.py'
model = dict(
    backbone=dict({TINY_BACKBONE}),
    decode_head=dict(in_channels=(8, 16, 24, 32), channels=16),
    auxiliary_head=None,
)
"""
TINY_DETECTOR = f"""
_base_ = '{os.getcwd()}/configs/retinanet_gfnet_h_ti_coco.py'
model = dict(
    backbone=dict({TINY_BACKBONE}),
    neck=dict(in_channels=[8, 16, 24, 32], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16),
)
"""


@pytest.fixture(scope='module')
def photo(mini_data):
    return next((mini_data / 'ADEChallengeData2016/images/validation').glob('*.jpg'))


def operators(path):
    return {(node.domain, node.op_type) for node in onnx.load(path).graph.node}


def test_a_segmentor_to_logits_and_labels(photo, tmp_path):
    out, config = tmp_path / 'model.onnx', tmp_path / 'config.py'
    config.write_text(TINY_SEGMENTOR)
    printed = here(
        *(EXPORT, config, '--shape', 64, 96, '--images', photo, '--out', out, '--dynamic-batch')
    )
    assert 'the weights are random' in printed
    assert 'logits: largest difference, relative,' in printed
    assert 'labels: share that differs 0.0e+00' in printed
    session = onnxruntime.InferenceSession(out)
    logits, labels = session.run(None, {'images': np.zeros((3, 3, 64, 96), np.float32)})
    assert logits.shape == (3, 150, 64, 96)
    np.testing.assert_array_equal(labels, logits.argmax(1))
    assert all(domain == '' and kind != 'DFT' for domain, kind in operators(out))


@pytest.fixture
def trained(tmp_path):
    """A segmentor, its config and its checkpoint, with filters for images of 64 pixels."""
    config, checkpoint = tmp_path / 'config.py', tmp_path / 'a.pth'
    config.write_text(TINY_SEGMENTOR.replace('arch=', 'img_size=64, arch='))
    model = build_model(Config.fromfile(config))
    for param in model.parameters():
        nn.init.normal_(param, std=0.1)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
    return model, config, checkpoint


@pytest.mark.parametrize('mode', ['interpolate', 'kernel'])
@pytest.mark.thorough
def test_a_checkpoint_for_another_size(mode, trained, photo, tmp_path):
    model, config, checkpoint = trained
    model.backbone.set_resize_mode(mode)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
    out = tmp_path / 'model.onnx'
    here(EXPORT, config, checkpoint, '--shape', 64, 96, '--images', photo, '--out', out)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = export.part_to_export(model)(images)[0].numpy()
    logits, _ = onnxruntime.InferenceSession(out).run(None, {'images': images.numpy()})
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def test_checkpoints_of_other_networks_are_refused(trained, photo):
    _, config, checkpoint = trained
    command = (EXPORT, config, checkpoint, '--shape', 64, 64, '--images', photo)
    other = ('type=mmfreq.DFFormer', 'arch=s18')
    for options, name in (
        (('model.decode_head.num_classes=7',), 'of another shape decode_head.conv_seg.weight'),
        ([f'model.backbone.{option}' for option in other], 'missing backbone.patch_embed'),
    ):
        message = refusal(*command, '--cfg-options', *options)
        assert f'checkpoint {checkpoint} does not fit {config}: ' in message
        assert name in message and len(message) < 1000


def test_a_classifier_to_logits(photo, tmp_path):
    out = tmp_path / 'model.onnx'
    printed = here(
        *(EXPORT, 'mmpretrain::resnet/resnet18_8xb32_in1k.py', '--shape', 32, 64),
        *('--images', photo, '--out', out, '--dynamic-batch'),
    )
    assert 'logits: largest difference, relative,' in printed
    (logits,) = onnxruntime.InferenceSession(out).run(
        None, {'images': np.zeros((2, 3, 32, 64), np.float32)}
    )
    assert logits.shape == (2, 1000)


@pytest.mark.parametrize('option', [(), ('--backbone',)])
def test_options_for_the_config_and_other_images_than_rgb(option, photo, tmp_path):
    out, config = tmp_path / 'model.onnx', tmp_path / 'config.py'
    config.write_text(TINY_SEGMENTOR)
    command = (EXPORT, config, *option, '--shape', 32, 32, '--out', out)
    channels = ('--cfg-options', 'model.backbone.in_channels=4')
    assert 'on random numbers for 4 channels' in here(*command, *channels)
    assert onnx.load(out).graph.input[0].type.tensor_type.shape.dim[1].dim_value == 4
    assert '4 channels' in refusal(*command, '--images', photo, *channels)


def test_a_detector_to_raw_outputs(photo, tmp_path):
    out, config = tmp_path / 'model.onnx', tmp_path / 'config.py'
    config.write_text(TINY_DETECTOR)
    printed = here(EXPORT, config, '--shape', 64, 64, '--images', photo, '--out', out)
    assert printed.count('largest difference') == 10  # scores and boxes of five levels


def test_linear_layers_in_8_bits(trained, photo, tmp_path):
    _, config, checkpoint = trained
    out = tmp_path / 'int8.onnx'
    command = (EXPORT, config, checkpoint, '--shape', 64, 96, '--images', photo, '--out', out)
    printed = here(*command, '--int8', '--force')
    assert '8 linear layers are in 8 bits' in printed  # two in each of four blocks
    kinds = [node.op_type for node in onnx.load(out).graph.node]
    assert kinds.count('MatMulInteger') == 8
    assert kinds.count('MatMul') == 24  # the transforms are as before
    session = onnxruntime.InferenceSession(out)
    assert 'mmfreq' in session.get_modelmeta().custom_metadata_map
    logits, _ = session.run(None, {'images': np.ones((1, 3, 64, 96), np.float32)})
    assert logits.shape == (1, 150, 64, 96)


class Linears(export.Exportable):
    """Linear layers of a matrix and of maps, which exporters write with other nodes."""

    names = ('y',)

    def __init__(self):
        super().__init__()
        self.maps, self.matrix = nn.Linear(3, 16), nn.Linear(16, 5)

    def forward(self, images):
        """Map images ``(B, 3, H, W)`` to numbers ``(B, 5)``."""
        return (self.matrix(self.maps(images.permute(0, 2, 3, 1)).mean((1, 2))),)


def test_every_linear_layer_is_in_8_bits(tmp_path):
    path = tmp_path / 'int8.onnx'
    assert export_int8(Linears(), torch.randn(1, 3, 8, 8), path) == 2
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count('MatMulInteger') == 2
    assert not {'MatMul', 'Gemm'} & set(kinds)


def test_what_would_lose_too_much_in_8_bits_is_refused(trained, photo, tmp_path):
    model, config, checkpoint = trained
    for name, param in model.backbone.named_parameters():
        # One channel is large in front of each layer, which takes it back: the rest rounds to 0.
        if 'norm2' in name:
            param.data[0] *= 1e6
        if name.endswith('fc1.weight'):
            param.data[:, 0] /= 1e6
        if name.endswith('fc2.weight'):
            param.data *= 30
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
    out = tmp_path / 'int8.onnx'
    command = (EXPORT, config, checkpoint, '--shape', 64, 64, '--images', photo, '--out', out)
    out.write_bytes(b'an earlier file')
    message = refusal(*command, '--int8')
    assert 'would lose too much in 8 bits' in message and '--force' in message
    assert out.read_bytes() == b'an earlier file' and list(tmp_path.glob('*.onnx')) == [out]


def test_networks_without_linear_layers_have_no_file_in_8_bits(photo, tmp_path):
    command = (EXPORT, 'affnet-et', '--shape', 64, 64, '--images', photo, '--int8')
    message = refusal(*command, '--out', tmp_path / 'int8.onnx')
    assert 'no linear layer to be written in 8 bits' in message


@pytest.mark.parametrize('name', TINY)
@pytest.mark.thorough
def test_every_family(name, tmp_path):
    # Matrices as large as the weights of a layer make later stages of an FDResNet slow.
    stages = (0,) if name == 'FDResNet' else (0, 1)
    backbone = TINY[name](out_indices=stages).eval()
    images = torch.randn(1, 3, 48, 64)
    network = export.BackboneOnly(backbone, len(stages))
    path = tmp_path / 'model.onnx'
    export.export_onnx(network, images, path)
    worst = export.compare(network, path, [images])
    assert max(worst.values()) < 1e-5
    assert set(worst) == {f'features_{i}' for i in stages}
    assert all(domain == '' and kind != 'DFT' for domain, kind in operators(path))
    opsets = {entry.domain: entry.version for entry in onnx.load(path).opset_import}
    assert opsets[''] >= 17 and set(opsets) == {''}
    assert any(param.requires_grad for param in backbone.parameters())  # as before


def test_a_wrong_file_is_noticed(tmp_path):
    images = torch.randn(1, 3, 48, 64)
    networks = [export.BackboneOnly(TINY['GFNet-flat']().eval(), 4) for _ in range(2)]
    export.export_onnx(networks[0], images, tmp_path / 'model.onnx')
    assert max(export.compare(networks[1], tmp_path / 'model.onnx', [images]).values()) > 1e-2


class Spectral(nn.Module):
    def forward(self, x):
        return torch.fft.irfft2(torch.fft.rfft2(x) * 1j)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ('layer', 'message'),
    [
        (Spectral, r'layer backbone\.0 \(.*Spectral\) cannot be exported: .*complex numbers'),
        (Branching, r'layer backbone\.0 \(Branching\) cannot be exported: '),
    ],
)
def test_the_layer_that_cannot_be_exported_is_named(layer, message, tmp_path):
    network = export.BackboneOnly(nn.Sequential(layer(), nn.Identity()), 1)
    with pytest.raises(ValueError, match=message):
        export.export_onnx(network, torch.randn(1, 3, 8, 8), tmp_path / 'model.onnx')


@pytest.mark.parametrize('package', ['onnx', 'onnxscript', 'onnxruntime'])
def test_missing_packages_name_the_extra(package, tmp_path, monkeypatch):
    network = export.BackboneOnly(nn.Identity(), 1)
    images = torch.randn(1, 3, 8, 8)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}; .*pip install 'mmfreq\[onnx\]'"):
        if package == 'onnxruntime':
            export.compare(network, tmp_path / 'model.onnx', [images])
        export.export_onnx(network, images, tmp_path / 'model.onnx')


def test_wrong_arguments(photo, tmp_path):
    mask_rcnn = 'configs/mask_rcnn_gfnet_h_ti_coco.py'
    message = refusal(EXPORT, mask_rcnn, '--shape', 64, 64, '--images', photo)
    assert 'layer roi_head (StandardRoIHead)' in message
    assert 'no image' in refusal(EXPORT, 'gfnet-h-ti', '--images', tmp_path / 'none.jpg')
    assert '--images' in refusal(EXPORT, 'gfnet-h-ti')
    assert '--images' in refusal(EXPORT, SEGMENTOR)  # its data are not here
    assert '--shape' in refusal(EXPORT, 'gfnet-h-ti', '--shape', 0, 8, '--images', photo)
    assert 'is for configs' in refusal(EXPORT, 'gfnet-h-ti', '--cfg-options', 'a=1')
    atss = ('mmdet::atss/atss_r50_fpn_1x_coco.py', '--shape', 64, 64, '--images', photo)
    assert 'bbox_head (ATSSHead) gives 3 kinds of maps' in refusal(EXPORT, *atss)
    tiny = ('mmpretrain.EfficientFormer', '--shape', 8, 8, '--images', photo)
    assert 'cannot take images of 8 x 8 pixels' in refusal(EXPORT, *tiny)
