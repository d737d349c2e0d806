"""Outputs and gradients against numbers computed with the original implementations."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from process import here

import mmfreq.models
from mmfreq.models import dynamic_kernel
from mmfreq.models.backbones import (
    affnet,
    fdresnet,
    gfnet,
    hornet,
    metaformer_baseline,
    vheat,
)
from mmfreq.models.pretrained import load_whole, rename
from mmfreq.utils.config_files import read_model_config
from mmfreq.zoo import build_model

FOLDER = Path(os.environ.get('MMFREQ_SHARED', '.')) / 'fixtures'
FIXTURES = sorted(
    path.stem
    for family in (
        *('gfnet-', 'dfformer-', 'cdfformer-', 'gfformer-', 'affnet-', 'fdconv-resnet'),
        *('hornet-', 'vheat-'),
    )
    for path in FOLDER.glob(f'{family}*.npz')
)
DENSE = ('norm', 'outnorm')
# Classifiers with a norm of maps, and the name of their last layer.
NORM_OF_MAPS = {'gfnet': 'head', 'vheat': 'classifier.3'}


class Case:
    """A fixture, the checkpoint that belongs to it, and models that loaded the checkpoint."""

    def __init__(self, name, shared, reference, folder):
        self.data = np.load(shared / 'fixtures' / f'{name}.npz')
        self.meta = json.loads(str(self.data['meta']))
        entries = reference.parse(self.data['keys'])
        if 'src_keys' in self.data.files:  # the checkpoint has the size of the pre-training
            entries.update(reference.parse(self.data['src_keys']))
        self.weights = {
            key: torch.from_numpy(reference.synth(key, *entry)) for key, entry in entries.items()
        }
        self.checkpoint = folder / 'checkpoint.pth'
        torch.save({'model': self.weights, 'epoch': 299}, self.checkpoint)
        self.images = torch.from_numpy(reference.make_input(self.meta))

    def build(self, dtype, **kwargs):
        init_cfg = dict(type='Pretrained', checkpoint=str(self.checkpoint))
        model = self.network()(**{**self.arguments(), 'init_cfg': init_cfg, **kwargs})
        model.init_weights()
        return model.to(dtype).eval()

    def network(self):
        if self.meta['model'] == 'fdconv-resnet':
            return mmfreq.models.FDResNet
        family = self.meta['name'].split('-')[0]
        names = {name.lower(): name for name in mmfreq.models.__all__}
        return getattr(mmfreq.models, names[family])

    def arguments(self):
        if self.meta['model'] == 'fdconv-resnet':
            return dict(depth=int(self.meta['variant'][1:]))
        if self.meta['model'] == 'affnet':
            return self.affnet_arguments()
        if self.meta['model'] == 'gfnet':
            return dict(arch=self.meta['variant'], img_size=self.meta['img_size'])
        if self.meta['model'] == 'hornet':
            side = 16 * self.meta['stored_filter_hw'][0][0]
            return dict(arch=self.meta['variant'].replace('_', '-'), img_size=side)
        if self.meta['model'] == 'vheat':
            return dict(arch=self.meta['variant'], img_size=self.meta['img_size'])
        return dict(arch=self.meta['variant'].split('_')[1], img_size=self.meta['input_size'])

    def affnet_arguments(self):
        arguments = dict(
            arch={'xx_small': 'et', 'x_small': 't', 'small': 'base'}[self.meta['variant']],
            act_cfg=dict(type={'swish': 'SiLU', 'relu': 'ReLU'}[self.meta['act']]),
            output_stride=self.meta.get('output_stride', 32),
            out_indices=range(5),
        )
        if self.meta['block_norm'].startswith('layer_norm ('):
            arguments['block_norm_cfg'] = dict(type='mmfreq.StdLayerNorm')
        return arguments

    def outputs(self, dtype):
        """All outputs of the fixture by name, and the model that made its maps."""
        images, names = self.images.to(dtype), self.meta['outputs']
        if names[-1].startswith(DENSE):  # a dense model with one norm per output
            model = self.build(dtype)
            return dict(zip(names, model(images), strict=True)), model
        if self.meta['model'] == 'fdconv-resnet':
            model = self.build(dtype)
            return dict(zip(names, model(images), strict=True)), model
        model = self.build(dtype, out_norm=None)
        maps = list(model(images))
        if self.meta['model'] == 'affnet':
            stem = model.patch_embed[0](images)
            maps = [stem, model.patch_embed[1](stem), *maps]
            logits = F.linear(maps[-1].mean((2, 3)), *self.head(dtype, 'classifier.fc'))
        elif self.meta['model'] in NORM_OF_MAPS:
            normed = self.build(dtype, out_indices=-1)
            norm = normed._output(normed.out_indices[0], maps[-1])
            torch.testing.assert_close(norm, normed(images)[0])
            maps.append(norm)
            logits = F.linear(
                norm.mean((2, 3)), *self.head(dtype, NORM_OF_MAPS[self.meta['model']])
            )
        elif self.meta['model'] == 'hornet':
            pooled = F.layer_norm(
                maps[-1].mean((2, 3)), maps[-1].shape[1:2], *self.head(dtype, 'norm'), eps=1e-6
            )
            maps.append(pooled)
            logits = F.linear(pooled, *self.head(dtype, 'head'))
        else:
            pooled = F.layer_norm(
                maps[-1].mean((2, 3)), maps[-1].shape[1:2], *self.head(dtype, 'norm'), eps=1e-6
            )
            hidden = F.linear(pooled, *self.head(dtype, 'head.fc1')).relu().square()
            hidden = F.layer_norm(hidden, hidden.shape[1:], *self.head(dtype, 'head.norm'))
            maps.append(pooled)
            logits = F.linear(hidden, *self.head(dtype, 'head.fc2'))
        return dict(zip(names, [*maps, logits], strict=True)), model

    def head(self, dtype, name):
        return [self.weights[f'{name}.{part}'].to(dtype) for part in ('weight', 'bias')]

    def gradients(self, model):
        """Gradients by name; band modulations, one tensor here, one each in the original."""
        grads = {name: param.grad.double() for name, param in model.named_parameters()}
        for name in [name for name in grads if '.bands.' in name]:
            grads |= {f'{name}.{i}': grad for i, grad in enumerate(grads.pop(name))}
        return grads

    def our_name(self, name):
        if self.meta['model'] == 'fdconv-resnet':
            name = next(iter(rename({name: None}, fdresnet._RENAMING)))
            name = name.replace('dft_weight', 'spectrum')
            for old, new in dynamic_kernel.RENAMED.items():
                name = name.replace(old, new)
            return re.sub(r'FBM\.freq_weight_conv_list\.(\d)\.(\w+)', r'bands.\2.\1', name)
        module = {
            'gfnet': gfnet,
            'dfformer': metaformer_baseline,
            'affnet': affnet,
            'hornet': hornet,
            'vheat': vheat,
        }[self.meta['model']]
        return next(iter(rename({name: None}, module._RENAMING)))


@pytest.fixture(params=FIXTURES)
def case(request, shared, reference, tmp_path):
    return Case(request.param, shared, reference, tmp_path)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=['fp32', 'fp64'])
def test_outputs(case, reference, dtype):
    with torch.no_grad():
        outputs, _ = case.outputs(dtype)
    outputs = {name: output.numpy() for name, output in outputs.items()}
    assert reference.compare(case.data, outputs, f64=dtype == torch.float64)


@pytest.mark.parametrize('name', [name for name in FIXTURES if name.startswith('vheat')])
def test_cosines_in_float64_keep_vheat_nearer_than_the_original(name, shared, reference, tmp_path):
    """The original's tables are computed in float32."""
    case = Case(name, shared, reference, tmp_path)
    with torch.no_grad():
        outputs, _ = case.outputs(torch.float32)
    for i, output in enumerate(outputs.values()):
        channels, pixels = (int(step) for step in case.data[f'st_{i}'])
        stored = output[:, ::channels, ::pixels, ::pixels] if output.ndim == 4 else output
        expected = reference.expected(case.data, i)
        error = np.linalg.norm(stored.numpy() - expected) / np.linalg.norm(expected)
        assert error < 0.6 * float(case.data[f'err32_{i}'])


def test_parameter_count(case):
    dense = case.meta['outputs'][-1].startswith((*DENSE, 'layer4'))
    model = case.network()(**case.arguments() | ({} if dense else dict(out_indices=-1)))
    assert sum(p.numel() for p in model.parameters()) == case.meta['params_no_head']


@pytest.mark.thorough
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=['fp32', 'fp64'])
def test_gradient_norms(case, dtype):
    if 'grad_names' not in case.data.files:
        pytest.skip('no gradients in this fixture')
    outputs, model = case.outputs(dtype)
    sum((output**2).mean() for output in outputs.values()).backward()
    ours = case.gradients(model)
    grads = zip(*(case.data[f'grad_{key}'] for key in ('names', 'norm64', 'err32')), strict=True)
    for name, norm, fp32_error in grads:
        renamed = case.our_name(str(name))
        if renamed in ours:  # not the last norm and the classifier
            grad = ours.pop(renamed)
            # Gradients of StarReLU's scalars and of band weights are sums that nearly cancel.
            floor = 1e-4 if grad.numel() == 1 or '.bands.' in renamed else 1e-5
            tolerance = 1e-9 if dtype == torch.float64 else max(5 * fp32_error, floor)
            assert float(grad.norm()) == pytest.approx(norm, rel=tolerance), name
    assert not ours


def test_forward_at_another_size_resizes_like_the_fine_tuning(shared, reference, tmp_path):
    """A released checkpoint is resized as by its authors, when loading and when running."""
    case = Case('gfnet-h-ti-ft224to384-384x384', shared, reference, tmp_path)
    loaded_at_384 = case.build(torch.float64, out_norm=None)
    loaded_at_224 = case.build(torch.float64, out_norm=None, img_size=224)
    assert loaded_at_224.resize_mode == 'interpolate'
    with torch.no_grad():
        pairs = zip(
            loaded_at_384(case.images.double()), loaded_at_224(case.images.double()), strict=True
        )
        for first, second in pairs:
            # Weights are resized in fp32 when they are loaded and in fp64 when the model runs.
            torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ('fixture', 'config'),
    [
        ('vheat-tiny-seg512-512x512', 'upernet_vheat_tiny_ade20k'),
        ('hornet-tiny_gf-seg-512x512', 'upernet_hornet_tiny_gf_ade20k'),
    ],
)
def test_dense_files_of_the_authors_are_taken_whole(shared, reference, tmp_path, fixture, config):
    case = Case(fixture, shared, reference, tmp_path)
    model = build_model(read_model_config(f'configs/{config}.py')).eval()
    heads = {k: v for k, v in model.state_dict().items() if not k.startswith('backbone.')}
    file = {f'backbone.{key}': tensor for key, tensor in case.weights.items()} | heads
    file['backbone.other'] = torch.ones(1)
    del file['decode_head.conv_seg.bias']
    torch.save({'meta': {}, 'state_dict': file}, tmp_path / 'dense.pth')
    printed = here(
        'tools/model_converters/convert_checkpoint.py',
        *(f'configs/{config}.py', tmp_path / 'dense.pth', tmp_path / 'out'),
    )
    assert 'loaded   backbone.stages.2.blocks.0.token_mixer.' in printed
    assert 'dropped  backbone.other' in printed
    assert 'missing  decode_head.conv_seg.bias' in printed and 'train the model' in printed
    (converted,) = (tmp_path / 'out').iterdir()
    model.load_state_dict(torch.load(converted, weights_only=True)['state_dict'])
    with torch.no_grad():
        outputs = dict(zip(case.meta['outputs'], model.backbone(case.images), strict=True))
    assert reference.compare(
        case.data, {name: output.numpy() for name, output in outputs.items()}, f64=False
    )
    file['decode_head.conv_seg.bias'] = torch.ones(150)
    load_whole(model, file, 'dense.pth', 'this model')  # as tools/test.py does
    with torch.no_grad():
        torch.testing.assert_close(
            model.backbone(case.images)[3], outputs[case.meta['outputs'][3]], rtol=1e-4, atol=1e-4
        )
