"""FDConv against the original's numbers, and what it must do that the original does not."""

import json
import os
import pickle
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_conv_layer
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.model import ExponentialMovingAverage, initialize, revert_sync_batchnorm
from mmpretrain.models.backbones import ResNet
from mmpretrain.models.backbones.repvgg import RepVGGBlock
from torch import nn

from mmfreq.models import FDConv, FDResNet
from mmfreq.ops.kernel_spectrum import GROUP_ORDERS, frequency_groups

FOLDER = Path(os.environ.get('MMFREQ_SHARED', '.')) / 'fixtures'
FIXTURES = sorted(path.stem for path in FOLDER.glob('fdconv-k*.npz'))


class LayerCase:
    """A fixture of one layer and the layer with the original's parameters."""

    def __init__(self, name, reference, dtype):
        self.data = np.load(FOLDER / f'{name}.npz')
        self.meta = json.loads(str(self.data['meta']))
        options = dict(self.meta['ctor'])
        in_channels, out_channels, side = options.pop('a')
        conv_cfg = dict(type='mmfreq.FDConv')
        self.layer = build_conv_layer(conv_cfg, in_channels, out_channels, side, **options)
        weights = reference.state_dict(self.data)
        self.layer.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        self.layer.to(dtype).eval()
        self.x = torch.from_numpy(reference.make_input(self.meta)).to(dtype)


@pytest.fixture(params=FIXTURES)
def name(request):
    return request.param


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=['fp32', 'fp64'])
def test_outputs_and_attentions(name, reference, dtype):
    case = LayerCase(name, reference, dtype)
    layer, data = case.layer, case.data
    assert sum(p.numel() for p in layer.parameters()) == case.meta['params_total']
    with torch.no_grad():
        y = layer(case.x)
        assert reference.compare(data, {'out': y.numpy()}, f64=dtype == torch.float64)
        if isinstance(layer, nn.Conv2d):
            return
        pooled = case.x.mean((2, 3))
        names = ('channel', 'filter', 'spatial', 'kernel')
        kernel_num = layer.attention.kernel.bias.numel()
        for tap, ours in zip(names, layer.attention(pooled), strict=True):
            if ours is not None:
                expected = torch.from_numpy(data[f'tap_att_{tap}']).to(dtype).reshape(ours.shape)
                scale = kernel_num if tap == 'kernel' else 1  # ours is not divided by the count
                torch.testing.assert_close(ours, expected * scale, rtol=1e-5, atol=1e-5)
        if layer.bands is not None:
            torch.testing.assert_close(
                layer.bands(case.x)[:, ::8, ::4, ::4],
                torch.from_numpy(data['tap_fbm']).to(dtype),
                rtol=1e-4,
                atol=1e-5,
            )


def test_gradients(name, reference):
    case = LayerCase(name, reference, torch.float64)
    if 'grad_names' not in case.data.files:
        pytest.skip('no gradients in this fixture')
    case.x.requires_grad_()
    case.layer(case.x).square().mean().backward()
    norms = dict(zip(map(str, case.data['grad_names']), case.data['grad_norm64'], strict=True))
    layer = case.layer
    ours = {
        'dft_weight': layer.spectrum,
        'KSM_Global.fc.weight': layer.attention.fc.weight,
        'KSM_Global.kernel_fc.weight': layer.attention.kernel.weight,
        'KSM_Global.filter_fc.bias': layer.attention.filter.bias,
        'KSM_Local.conv.weight': layer.local_attention.weight,
        'KSM_Local.norm.weight': layer.local_attention.norm.weight,
    }
    for key, param in ours.items():
        assert float(param.grad.norm()) == pytest.approx(norms[key], rel=1e-9), key
    for i, grad in enumerate(layer.bands.weight.grad):
        key = f'FBM.freq_weight_conv_list.{i}.weight'
        assert float(grad.norm()) == pytest.approx(norms[key], rel=1e-9), key
    assert float(case.x.grad.norm()) == pytest.approx(
        float(case.data['grad_input_norm64']), rel=1e-9
    )


def test_own_groups_follow_exact_radii(name, reference):
    case = LayerCase(name, reference, torch.float32)
    if isinstance(case.layer, nn.Conv2d):
        pytest.skip('a plain convolution')
    out_channels, in_channels, side, _ = case.layer.kernel_shape
    kernel_num = case.layer.attention.kernel.bias.numel()
    fresh = FDConv(in_channels, out_channels, side, kernel_num=kernel_num)
    rule = reference.fdconv_group_map(out_channels, in_channels, side, kernel_num, exceptions=False)
    np.testing.assert_array_equal(fresh.group_map.numpy(), rule)
    if side == 1:
        np.testing.assert_array_equal(fresh.group_map.numpy(), case.data['tap_group_map'])


def converted(conv, **options):
    layer = FDConv(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0],
        conv.stride,
        conv.padding,
        conv.dilation,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        **options,
    ).to(conv.weight.dtype)
    result = layer.load_state_dict(conv.state_dict(), strict=False)
    assert not result.unexpected_keys
    modulation = ('attention', 'local_attention', 'bands')
    assert all(name.startswith(modulation) for name in result.missing_keys)
    return layer


@pytest.mark.parametrize('channels', [(17, 17), (32, 48), (33, 35), (48, 96), (160, 160)])
@pytest.mark.parametrize('side', [1, 3])
@pytest.mark.parametrize('kernel_num', [1, 4, 64])
@pytest.mark.parametrize('mode', [True, False], ids=['train', 'eval'])
def test_converted_weights_are_reproduced(channels, side, kernel_num, mode):
    """Also where the original fails: any counts, odd widths, one group, one image."""
    conv = nn.Conv2d(*channels, side, stride=2, padding=side // 2).double()
    layer = converted(conv, kernel_num=kernel_num).train(mode)
    for batch in (1, 3):
        x = torch.randn(batch, channels[0], 7, 10, dtype=torch.float64).relu()
        torch.testing.assert_close(layer(x), conv(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('padding_mode', ['zeros', 'reflect', 'replicate', 'circular'])
@pytest.mark.parametrize('padding', ['same', 'valid', (2, 1)])
def test_padding_is_that_of_a_convolution(padding, padding_mode):
    conv = nn.Conv2d(17, 18, 3, padding=padding, dilation=2, padding_mode=padding_mode).double()
    x = torch.randn(2, 17, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(converted(conv)(x), conv(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('init', ['Kaiming', 'Normal', 'Xavier', 'Constant'])
@pytest.mark.parametrize('layers', [['Conv2d', 'Linear', 'Conv1d'], 'FDConv'])
def test_initialisers_of_networks_do_not_disturb_it(init, layers):
    values = dict(Normal=dict(std=1.0), Constant=dict(val=1.0)).get(init, {})
    conv = nn.Conv2d(32, 32, 3, padding=1)
    nn.init.zeros_(conv.bias)  # as initialisers do
    network = nn.Sequential(converted(conv))
    initialize(network, dict(type=init, layer=layers, **values))
    x = torch.randn(4, 32, 9, 9)
    torch.testing.assert_close(network(x), conv(x), rtol=1e-5, atol=1e-5)


def test_plain_resnet_is_reproduced(tmp_path):
    plain = ResNet(depth=50, out_indices=(0, 1, 2, 3), zero_init_residual=False)
    for name, tensor in plain.state_dict().items():
        if 'running_mean' in name or name.endswith('.bias'):
            tensor.normal_(std=0.1)
        elif 'running_var' in name:
            tensor.uniform_(0.5, 2)
    extra = {'fc.weight': torch.zeros(1000, 2048), 'fc.bias': torch.zeros(1000)}
    torch.save(plain.state_dict() | extra, tmp_path / 'r50.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'r50.pth'))
    model = FDResNet(depth=50, init_cfg=init_cfg)
    model.init_weights()
    x = torch.randn(2, 3, 64, 96)
    for mode in (True, False):
        with torch.no_grad():
            outs, expected = model.train(mode)(x), (plain.train(mode), plain(x))[1]
        for out, reference in zip(outs, expected, strict=True):
            assert (out - reference).norm() < 1e-4 * reference.norm()
    assert all(m.bands.masks == 'exact' for m in model.modules() if getattr(m, 'bands', None))


def test_plain_weights_load_into_networks_of_other_libraries(tmp_path):
    plain = ResNet(depth=18, out_indices=(0, 1, 2, 3), zero_init_residual=False)
    torch.save(plain.state_dict(), tmp_path / 'r18.pth')
    model = ResNet(
        depth=18,
        out_indices=(0, 1, 2, 3),
        conv_cfg=dict(type='mmfreq.FDConv', kernel_num=8),
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'r18.pth')),
    )
    assert isinstance(model.layer1[0].conv1, FDConv)
    model.init_weights()
    x = torch.randn(2, 3, 64, 96)
    for out, reference in zip(model(x), plain(x), strict=True):
        assert (out - reference).norm() < 1e-4 * reference.norm()


@pytest.mark.parametrize(
    ('depth', 'more', 'parameters'),
    [(18, 569_200, 11_745_712), (50, 3_647_120, 27_155_152), (101, 7_499_218, 49_999_378)],
)
def test_parameters(depth, more, parameters):
    """Of 18 and 50 as counted on the original."""
    model, plain = FDResNet(depth=depth), ResNet(depth=depth)
    count, plain_count = (sum(p.numel() for p in m.parameters()) for m in (model, plain))
    assert (count, count - plain_count) == (parameters, more)


def test_modulation_of_frozen_stages_can_learn():
    model = FDResNet(depth=18, frozen_stages=1, train_frozen_modulation=True).train()
    sum(out.mean() for out in model(torch.randn(2, 3, 32, 32))).backward()
    for name, param in model.named_parameters():
        frozen = name.startswith(('patch_embed', 'stages.0'))
        modulation = any(part in name for part in ('.attention.', 'local_attention', '.bands.'))
        assert param.requires_grad == (not frozen or modulation), name
        assert (param.grad is not None) == param.requires_grad, name


def test_band_masks_follow_the_checkpoint():
    exact = FDConv(32, 32, 3)
    original = {'dft_weight': exact.spectrum.detach()[None]}
    loaded = FDConv(32, 32, 3)
    loaded.load_state_dict(original, strict=False)
    assert loaded.bands.masks == 'nearest'
    resumed = FDConv(32, 32, 3)
    resumed.load_state_dict(loaded.state_dict())
    assert resumed.bands.masks == 'nearest'
    forced = FDConv(32, 32, 3, band_masks='exact')
    forced.load_state_dict(loaded.state_dict())
    assert forced.bands.masks == 'exact'
    resumed.load_state_dict(nn.Conv2d(32, 32, 3).state_dict(), strict=False)
    nn.init.normal_(loaded.bands.weight)
    forced.load_state_dict(loaded.state_dict())
    x = torch.randn(1, 32, 100, 168)
    assert not torch.allclose(loaded.bands(x), forced.bands(x))


def test_groups_follow_the_checkpoint():
    exact, faithful = (frequency_groups((192, 192), 64, order) for order in GROUP_ORDERS)
    fresh = FDConv(64, 64, 3, kernel_num=64)
    assert fresh.group_map.equal(exact.byte())
    loaded = FDConv(64, 64, 3, kernel_num=64)
    loaded.load_state_dict({'dft_weight': fresh.spectrum.detach()[None]}, strict=False)
    assert loaded.group_map.equal(faithful.byte())
    for order, groups in ((None, faithful), ('exact', exact), ('float32', faithful)):
        resumed = FDConv(64, 64, 3, kernel_num=64, group_order=order)
        resumed.load_state_dict(loaded.state_dict())
        assert resumed.group_map.equal(groups.byte())
    fresh.load_state_dict(nn.Conv2d(64, 64, 3).state_dict(), strict=False)
    assert fresh.group_map.equal(exact.byte())


def test_a_stored_group_map_is_kept():
    layer = FDConv(32, 32, 3, kernel_num=4)
    layer.group_map.copy_(3 - layer.group_map)
    other = FDConv(32, 32, 3, kernel_num=4)
    other.load_state_dict(layer.state_dict())
    assert other.group_map.equal(layer.group_map)


def test_half_as_many_groups_as_filters():
    """The number of parameters is that of the original."""
    layer = FDConv(64, 64, 3, bias=False, kernel_num=None)
    assert sum(p.numel() for p in layer.parameters()) == 45_918
    assert layer.attention.kernel_temp == layer.attention.temp == 32**0.5
    assert int(layer.group_map.max()) == 31


def test_a_stored_group_map_of_more_groups_is_refused():
    layer = FDConv(32, 32, 3, kernel_num=4)
    tensors = layer.state_dict() | {'group_map': layer.group_map + 1}
    with pytest.raises(ValueError, match='group_map names groups beyond kernel_num=4'):
        layer.load_state_dict(tensors)


def test_per_sample_kernels_do_not_depend_on_the_batch():
    layer = FDConv(32, 40, 3, padding=1).eval()
    for param in layer.modulation_parameters():
        nn.init.normal_(param)
    x = torch.randn(3, 32, 8, 9)
    together = layer(x)
    for i in range(3):
        torch.testing.assert_close(layer(x[i : i + 1])[0], together[i], rtol=1e-4, atol=1e-4)
        expected = F.conv2d(layer.bands(x[i : i + 1]), layer.kernels(x[i : i + 1])[0], padding=1)
        torch.testing.assert_close(expected[0] + layer.bias[:, None, None], together[i])


@pytest.mark.parametrize('depth', [18, 50])
def test_fusing_norms_changes_nothing(depth):
    network = FDResNet(depth=depth).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.1)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        outs = network(x)
        fused = fuse_conv_bn(deepcopy(network))
        for out, reference in zip(fused(x), outs, strict=True):
            assert (out - reference).norm() < 1e-5 * reference.norm()
    kept, fused = (
        sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (network, fused)
    )
    plain = sum(isinstance(m, nn.Conv2d) for m in network.modules())
    assert kept - fused == plain


def test_copies_and_synchronised_norms_compute_the_same():
    layer = FDConv(20, 24, 3, padding=1).eval()
    for param in layer.modulation_parameters():
        nn.init.normal_(param, std=0.1)
    x = torch.randn(2, 20, 8, 8)
    expected = layer(x)
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(deepcopy(layer))
    for copy in (
        deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        ExponentialMovingAverage(layer).module,
        synchronised,
        revert_sync_batchnorm(deepcopy(synchronised)),
    ):
        torch.testing.assert_close(copy(x), expected)


def test_built_by_conv_cfg_in_other_libraries():
    conv_cfg = dict(type='mmfreq.FDConv', kernel_num=8)
    layer = build_conv_layer(conv_cfg, 32, 32, 3, padding=1)
    assert isinstance(layer, FDConv) and layer.kernel_num == 8
    assert not isinstance(layer, nn.Conv2d)
    fbm_cfg = dict(k_list=[2, 4, 8], act='sigmoid', fs_feat='feat', global_selection=False)
    released = dict(param_ratio=1, use_fdconv_if_stride_in=[1], fbm_cfg=fbm_cfg, temp=None)
    assert isinstance(build_conv_layer(conv_cfg | released, 32, 32, 3), FDConv)


@pytest.mark.parametrize(
    'arguments',
    [
        dict(in_channels=3, out_channels=64, kernel_size=7, stride=2, padding=3, bias=False),
        dict(in_channels=64, out_channels=16, kernel_size=1),
        dict(in_channels=64, out_channels=64, kernel_size=(1, 3), padding=(0, 1)),
        dict(in_channels=64, out_channels=64, kernel_size=5, padding='same'),
        dict(in_channels=64, out_channels=64, kernel_size=3, groups=4, padding_mode='reflect'),
        dict(in_channels=64, out_channels=64, kernel_size=3, groups=64),
    ],
)
def test_other_convolutions_stay_plain(arguments):
    for kind in ('mmfreq.FDConv', FDConv):
        layer = build_conv_layer(dict(type=kind, kernel_num=64), **arguments)
        assert type(layer) is nn.Conv2d and str(layer) == str(nn.Conv2d(**arguments))


def test_what_needs_a_weight_names_the_reason():
    conv_cfg, norm_cfg = dict(type='mmfreq.FDConv'), dict(type='BN')
    block = RepVGGBlock(32, 32, conv_cfg=conv_cfg)
    with pytest.raises(AttributeError, match='has no weight; set conv_cfg=None'):
        block.switch_to_deploy()
    module = ConvModule(
        32, 32, 3, conv_cfg=conv_cfg, norm_cfg=norm_cfg, efficient_conv_bn_eval=True
    )
    with pytest.raises(AttributeError, match='has no weight; set conv_cfg=None'):
        module.eval()(torch.randn(1, 32, 8, 8))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(kernal_num=2), 'FDConv has unknown options: kernal_num'),
        (dict(kernel_num=0), 'kernel_num'),
        (dict(kernel_num=100_000), 'kernel_num'),
        (dict(param_ratio=2), 'param_ratio=1 only'),
        (dict(spatial_freq_decompose=True), 'spatial_freq_decompose=False only'),
        (dict(fbm_cfg=dict(lowfreq_att=True)), 'lowfreq_att=False only'),
        (dict(fbm_cfg=dict(bands=3)), 'unknown options: bands'),
        (dict(band_masks='bilinear'), 'band_masks'),
        (dict(group_order='float64'), 'group_order'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FDConv(32, 32, **dict(kernel_size=3) | arguments)


def test_wrong_depth_is_named():
    with pytest.raises(ValueError, match=r"arch must be one of .*50.* got '51'"):
        FDResNet(depth=51)


def test_depth_is_another_name_of_arch():
    networks = [FDResNet(depth=18), FDResNet(18), FDResNet(arch='18')]
    shapes = [[param.shape for param in network.parameters()] for network in networks]
    assert shapes[0] == shapes[1] == shapes[2]


def test_the_former_name_of_arch_is_not_given_beside_it():
    assert FDResNet(depth=18).depths == FDResNet('18').depths
    with pytest.raises(ValueError, match='former name of arch'):
        FDResNet('18', depth=50)
