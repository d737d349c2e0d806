"""Filters, spectra and receptive fields as they are shown, against direct computations."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from mmfreq.analysis.inputs import open_backbone, preprocess, read_images
from mmfreq.analysis.spectra.filters import Gains, gains_for, masks_for, stored_filters
from mmfreq.analysis.spectra.fourier import (
    amplitude_over_depth,
    effective_receptive_field,
    field_side,
)
from mmfreq.analysis.spectra.pictures import draw_gains
from mmfreq.ops import rfft2
from mmfreq.ops.fft import centred_spectrum
from mmfreq.zoo import backbone_config, build_backbone


@pytest.mark.parametrize('size', [(6, 8), (5, 7), (4, 9), (1, 1), (3, 2)])
def test_centred_spectrum(size):
    x = torch.randn(2, *size, dtype=torch.float64)
    full, rows, columns = centred_spectrum(rfft2(x, norm='backward'), size[1])
    expected = np.fft.fftshift(np.fft.fft2(x.numpy()), axes=(-2, -1))
    np.testing.assert_allclose(full.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(rows.numpy(), np.fft.fftshift(np.fft.fftfreq(size[0])))
    np.testing.assert_allclose(columns.numpy(), np.fft.fftshift(np.fft.fftfreq(size[1])))


def test_stored_filters():
    network = build_backbone({**backbone_config('gfnet-h-ti'), 'img_size': 64})
    layers = stored_filters(network)
    assert len(layers) == 19
    (spectrum, kernels) = layers[0]
    assert spectrum.name == 'stages.0.blocks.0.token_mixer'
    assert spectrum.values.shape == kernels.shape == (64, 16, 16)
    # Showing is exact: the kernel's transform is the spectrum shown.
    kernel = np.fft.ifftshift(kernels.double().numpy(), axes=(-2, -1))
    expected = np.fft.fftshift(np.fft.fft2(kernel), axes=(-2, -1))
    np.testing.assert_allclose(spectrum.values.numpy(), expected, atol=1e-5)
    basis = stored_filters(build_backbone({**backbone_config('dfformer-s18'), 'img_size': 64}))
    assert basis[0][0].values.shape == (4, 16, 16)


def test_masks_and_gains():
    images = torch.randn(2, 3, 64, 96)
    masks = masks_for(build_backbone(backbone_config('affnet-et')), images)
    assert len(masks) == 9
    assert masks[0].values.shape == (2, 8, 12)
    assert (masks[0].values >= 0).all()
    for name, count, columns in (('dfformer-s18', 18, 4), ('dsm-s', 19, 8), ('fdresnet-18', 16, 3)):
        network = build_backbone(backbone_config(name))
        (gains,) = gains_for(network, images)
        assert gains.values.shape == (2, count, columns)
        assert len(gains.layers) == count and len(gains.columns) == columns
        if name == 'dfformer-s18':
            torch.testing.assert_close(gains.values.sum(-1), torch.ones(2, count))
        if name == 'fdresnet-18':  # a converted network starts as the plain one
            assert (gains.values == 1).all()
        for module in network.modules():
            assert not module._forward_hooks and not module._forward_pre_hooks
    assert gains_for(build_backbone(backbone_config('gfnet-h-ti')), images) == []


def test_equal_gains_have_equal_colours():
    images = [np.zeros((8, 8, 3), np.uint8)] * 2
    figure = draw_gains('title', images, Gains('gains', ['a'], ['b', 'c'], torch.ones(2, 1, 2)))
    figure.canvas.draw()
    tables = [ax.images[0] for ax in figure.axes if ax.get_xticklabels() and ax.images][-2:]
    colours = [table.to_rgba(table.get_array()).tolist() for table in tables]
    assert len(tables) == 2 and colours[0] == colours[1]
    plt.close(figure)


class Blur(nn.Module):
    def forward(self, x):
        return nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlurBlock(Blur):
    """Named as blocks are."""


class Tokens(Blur):
    def forward(self, x):
        return super().forward(x).flatten(2).transpose(1, 2)


class TokenBlock(Tokens):
    """Output as Swin's."""


def test_amplitudes_fall_where_a_blur_removes_them():
    images = torch.randn(4, 3, 32, 32)
    network = nn.Sequential(nn.Identity(), BlurBlock(), BlurBlock(), TokenBlock())
    network.forward = lambda x: [network[3](network[2](network[1](x)))]
    curves = amplitude_over_depth(network, images)
    assert [curve.name for curve in curves] == ['1', '2', '3']
    assert [curve.depth for curve in curves] == [0, 0.5, 1]
    assert curves[0].frequencies.tolist() == pytest.approx(np.linspace(0, 1, 17))
    assert curves[0].log_amplitude[0] == 0
    highest = [float(curve.log_amplitude[12:].mean()) for curve in curves]
    assert highest[0] > highest[1] + 0.5 > highest[2] + 1
    spectrum = np.abs(np.fft.fft2(network[1](images).double().numpy())).mean((0, 1)).diagonal()[:17]
    expected = np.log(spectrum / spectrum[0])
    np.testing.assert_allclose(curves[0].log_amplitude.numpy(), expected, atol=1e-4)
    with pytest.raises(ValueError, match='square'):
        amplitude_over_depth(network, torch.randn(1, 3, 32, 16))
    with pytest.raises(ValueError, match='has no blocks'):
        amplitude_over_depth(nn.Sequential(nn.Identity()), images)


@pytest.mark.parametrize('name', ['gfnet-h-ti', 'affnet-et', 'convnext-t', 'swin-t', 'resnet-50'])
def test_every_kind_of_network_has_curves(name):
    config = backbone_config(name)
    curves = amplitude_over_depth(build_backbone(config), torch.randn(1, 3, 64, 64))
    expected = {'gfnet-h-ti': 19, 'affnet-et': 9, 'convnext-t': 18, 'swin-t': 12, 'resnet-50': 16}
    assert len(curves) == expected[name]
    assert all(curve.log_amplitude.isfinite().all() for curve in curves)


def test_receptive_field():
    network = nn.Sequential(Blur(), Blur())
    network.forward = lambda x: [network[1](network[0](x))]
    field = effective_receptive_field(network, torch.rand(2, 3, 33, 33))
    line = torch.tensor([1.0, 2, 3, 2, 1]) / 9
    expected = torch.zeros(33, 33)
    expected[14:19, 14:19] = line[:, None] * line
    torch.testing.assert_close(field, expected)
    assert field_side(field, 0.1) == pytest.approx(1 / 33)
    assert field_side(field, 0.5) == pytest.approx(3 / 33)
    assert field_side(field, 0.99) == pytest.approx(5 / 33)


def test_receptive_field_behind_a_layer_norm():
    network = build_backbone({**backbone_config('gfnet-h-ti'), 'img_size': 64})
    assert effective_receptive_field(network, torch.randn(1, 3, 64, 64)).isfinite().all()


def test_inputs(tmp_path, shared):
    path = next((shared / 'data/ade20k_mini').rglob('*.jpg'))
    (image,) = read_images([str(path)], 64)
    assert image.shape == (64, 64, 3)
    plain = preprocess([image], build_backbone(backbone_config('affnet-et')))
    np.testing.assert_allclose(plain[0].permute(1, 2, 0).numpy(), image / 255, atol=1e-6)
    (tmp_path / 'broken.jpg').write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r'broken\.jpg is not a whole image'):
        read_images([str(tmp_path / 'broken.jpg')], 64)
    with pytest.raises(FileNotFoundError, match=r'there is no image nowhere\.png'):
        read_images(['nowhere.png'], 64)


def test_weights_of_a_training_and_of_a_peer(tmp_path):
    trained = build_backbone({**backbone_config('affnet-et')})
    state_dict = {f'backbone.{name}': tensor for name, tensor in trained.state_dict().items()}
    torch.save(dict(state_dict=state_dict), tmp_path / 'trained.pth')
    loaded = open_backbone('configs/fpn_affnet_et_ade20k.py', str(tmp_path / 'trained.pth'), 64)
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, trained.state_dict()[name])
    peer = build_backbone(backbone_config('resnet-50'))
    torch.save(peer.state_dict(), tmp_path / 'peer.pth')
    open_backbone('resnet-50', str(tmp_path / 'peer.pth'), 64)
    with pytest.raises(ValueError, match='does not fit convnext-t'):
        open_backbone('convnext-t', str(tmp_path / 'peer.pth'), 64)
