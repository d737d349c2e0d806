"""Outputs and gradients against numbers computed with the original implementation."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from mmfreq.models import GFNet
from mmfreq.models.backbones.gfnet import _from_released

FIXTURES = ['ti-224x224', 'ti-384x384', 'h-ti-224x224', 'h-s-224x224', 'h-ti-ft224to384-384x384']


@pytest.fixture(scope='module')
def reference(shared):
    spec = importlib.util.spec_from_file_location('reference', shared / 'fixtures/reference.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Case:
    """A fixture, the checkpoint that belongs to it, and models that loaded the checkpoint."""

    def __init__(self, name, shared, reference, folder):
        self.data = np.load(shared / 'fixtures' / f'gfnet-{name}.npz')
        self.meta = json.loads(str(self.data['meta']))
        # Fine-tuning at another size: the checkpoint has the size of the pre-training.
        keys = 'src_keys' if 'src_keys' in self.data.files else 'keys'
        entries = reference.parse(self.data[keys]).items()
        self.weights = {k: torch.from_numpy(reference.synth(k, *entry)) for k, entry in entries}
        self.checkpoint = folder / 'checkpoint.pth'
        torch.save({'model': self.weights, 'epoch': 299}, self.checkpoint)
        self.images = torch.from_numpy(reference.make_input(self.meta))

    def build(self, dtype, **kwargs):
        init_cfg = dict(type='Pretrained', checkpoint=str(self.checkpoint))
        model = GFNet(
            arch=self.meta['variant'], img_size=self.meta['img_size'], init_cfg=init_cfg, **kwargs
        )
        model.init_weights()
        return model.to(dtype).eval()

    def outputs(self, dtype):
        """Raw maps, the normed last map and the logits, by name, and the model of the raw maps."""
        images = self.images.to(dtype)
        raw, normed = self.build(dtype, out_norm=None), self.build(dtype, out_indices=-1)
        maps = list(raw(images))
        norm = normed._output(normed.out_indices[0], maps[-1].permute(0, 2, 3, 1))
        torch.testing.assert_close(norm, normed(images)[0])
        head = [self.weights[f'head.{name}'].to(dtype) for name in ('weight', 'bias')]
        logits = torch.nn.functional.linear(norm.mean((2, 3)), *head)
        return dict(zip(self.meta['outputs'], [*maps, norm, logits], strict=True)), raw


@pytest.fixture(params=FIXTURES)
def case(request, shared, reference, tmp_path):
    return Case(request.param, shared, reference, tmp_path)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=['fp32', 'fp64'])
def test_outputs(case, reference, dtype):
    with torch.no_grad():
        outputs, _ = case.outputs(dtype)
    outputs = {name: output.numpy() for name, output in outputs.items()}
    assert reference.compare(case.data, outputs, f64=dtype == torch.float64)


def test_parameter_count(case):
    model = case.build(torch.float32, out_indices=-1)
    assert sum(p.numel() for p in model.parameters()) == case.meta['params_no_head']


@pytest.mark.parametrize('case', ['ti-224x224', 'h-ti-224x224'], indirect=True)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=['fp32', 'fp64'])
def test_gradient_norms(case, dtype):
    outputs, model = case.outputs(dtype)
    sum((output**2).mean() for output in outputs.values()).backward()
    ours = {name: float(p.grad.double().norm()) for name, p in model.named_parameters()}
    grads = zip(*(case.data[f'grad_{key}'] for key in ('names', 'norm64', 'err32')), strict=True)
    for name, norm, fp32_error in grads:
        (renamed,) = _from_released({str(name): torch.empty(0)}, last_norm='norm.')
        if renamed in ours:  # not the last norm and the classifier
            tolerance = 1e-9 if dtype == torch.float64 else 5 * max(fp32_error, 2e-7)
            assert ours.pop(renamed) == pytest.approx(norm, rel=tolerance), name
    assert not ours


def test_forward_at_another_size_resizes_like_the_fine_tuning(shared, reference, tmp_path):
    """A released checkpoint is resized as by its authors, when loading and when running."""
    case = Case('h-ti-ft224to384-384x384', shared, reference, tmp_path)
    loaded_at_384 = case.build(torch.float64, out_norm=None)
    case.meta['img_size'] = 224
    loaded_at_224 = case.build(torch.float64, out_norm=None)
    assert loaded_at_224.resize_mode == 'interpolate'
    with torch.no_grad():
        pairs = zip(
            loaded_at_384(case.images.double()), loaded_at_224(case.images.double()), strict=True
        )
        for first, second in pairs:
            # Weights are resized in fp32 when they are loaded and in fp64 when the model runs.
            torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)
