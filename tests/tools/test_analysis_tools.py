"""Reports, as a user asks for them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from process import ADE, here, output, python, refusal

import mmfreq
from mmfreq.zoo import backbone_names

FLOPS = 'tools/analysis_tools/get_flops.py'
SSD = 'configs/ssdlite_affnet_et_coco.py'


def test_json_is_one_object_on_stdout():
    done = python(FLOPS, SSD, '--shape', 64, 96, '--json')
    result = json.loads(done.stdout)
    assert result['model'] == SSD
    assert result['shape'] == [64, 96]
    assert result['params'] == sum(part['params'] for part in result['parts'].values())
    assert set(result['parts']) == {'backbone', 'neck', 'bbox_head'}
    assert result['unit'] == 'multiply-adds'
    exact = json.loads(here(FLOPS, SSD, '--shape', 64, 96, '--json', '--convention=exact'))
    assert exact['unit'] == 'real operations'
    assert 1.9 * result['flops'] < exact['flops'] < 2.5 * result['flops']


def test_several_shapes_in_each_format():
    command = (
        FLOPS,
        '--backbone',
        'mmfreq.GFNet',
        '--arch',
        'h-ti',
        '--shape',
        64,
        '--shape',
        65,
        97,
    )
    results = json.loads(here(*command, '--json'))['results']
    assert [result['shape'] for result in results] == [[64, 64], [65, 97]]
    rows = list(csv.DictReader(here(*command, '--csv').splitlines()))
    assert {row['height x width'] for row in rows} == {'64 x 64', '65 x 97'}
    totals = [int(row['flops']) for row in rows if row['part'] == 'all']
    assert totals == [result['flops'] for result in results]
    lines = here(*command, '--markdown').splitlines()
    assert lines[0].startswith('| model') and set(lines[1]) == {'|', '-'}
    text = here(*command)
    assert f'{totals[0] / 1e9:.3f} G' in text
    assert 'N log2 N' in text


def test_models_of_the_libraries():
    command = (
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        'mmseg::convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',
        'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    )
    results = json.loads(here(FLOPS, *command, '--shape', 64, '--json'))['results']
    millions = [round(result['params'] / 1e6, 2) for result in results]
    assert millions == [37.97, 60.24, 25.56]


def test_images_of_four_channels():
    stem = 'model.backbone.in_channels'
    rgb, more = (
        json.loads(here(FLOPS, SSD, '--shape', 64, '--json', '--cfg-options', f'{stem}={channels}'))
        for channels in (3, 4)
    )
    assert more['params'] - rgb['params'] == 16 * 9  # kernels of the stem
    assert more['flops'] - rgb['flops'] == 16 * 9 * 32 * 32


def test_weights_and_wrappers_do_not_matter(tmp_path):
    base = 'configs/retinanet_gfnet_h_ti_coco.py'
    config = tmp_path / 'config.py'
    config.write_text(
        f"_base_ = '{Path(base).resolve()}'\n"
        "init_cfg = [dict(type='Constant', layer='Linear', val=1.0)]\n"
        "init_cfg.append(dict(type='Pretrained', checkpoint='nowhere.pth', prefix='backbone.'))\n"
        'model = dict(backbone=dict(init_cfg=init_cfg))\n'
    )
    semi = tmp_path / 'semi.py'
    semi.write_text(
        f"_base_ = '{Path(base).resolve()}'\n"
        'detector = {{_base_.model}}\n'
        "data = dict(type='mmdet.MultiBranchDataPreprocessor')\n"
        "model = dict(_delete_=True, type='mmdet.SoftTeacher', data_preprocessor=data,\n"
        '             detector=detector)\n'
    )
    results = json.loads(here(FLOPS, base, config, semi, '--shape', 64, '--json'))['results']
    assert len({result['flops'] for result in results}) == 1
    assert len({result['params'] for result in results}) == 1


def test_networks_that_are_only_counted_in_part_are_refused():
    mmdet = {
        'htc/htc_r50_fpn_1x_coco.py': 'several stages in its roi_head, of which only those',
        'detr/detr_r50_8xb2-150e_coco.py': 'encoder, decoder',
        'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py': 'roi_head.point_head',
        'deepsort/deepsort_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py': (
            'several: model.detector.backbone, model.reid.backbone'
        ),
        'ld/ld_r18-gflv1-r101_fpn_1x_coco.py': 'model (KnowledgeDistillation',
    }
    for config, message in mmdet.items():
        assert message in refusal(FLOPS, f'mmdet::{config}', '--shape', 64)


@pytest.mark.thorough
def test_an_uncounted_operator_is_an_error(tmp_path):
    (tmp_path / 'odd_network.py').write_text(
        'import torch\n'
        'from mmfreq.registry import MODELS\n'
        '@MODELS.register_module()\n'
        'class Odd(torch.nn.Module):\n'
        '    def forward(self, x):\n'
        '        return (torch.linalg.pinv(x),)\n'
    )
    config = tmp_path / 'odd.py'
    config.write_text(
        "default_scope = 'mmpretrain'\n"
        "custom_imports = dict(imports=['odd_network'])\n"
        "head = dict(type='LinearClsHead', num_classes=2, in_channels=3)\n"
        "model = dict(type='ImageClassifier', backbone=dict(type='mmfreq.Odd'), head=head,\n"
        "             neck=dict(type='GlobalAveragePooling'))\n"
    )
    command = (FLOPS, config, '--shape', 32, '--json')
    done = python(*command, check=False, PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert 'aten::linalg_pinv' in done.stderr
    allowed = python(*command, '--allow-uncounted', PYTHONPATH=str(tmp_path))
    assert json.loads(allowed.stdout)['uncounted'] == {'aten::linalg_pinv': 1}


def test_wrong_input_to_get_flops(tmp_path):
    (tmp_path / 'empty.py').write_text('a = 1\n')
    (tmp_path / 'syntax.py').write_text('a = (\n')
    for options, message in (
        (('--backbone', 'gfnet-hs'), 'did you mean gfnet-xs'),
        (('--backbone', 'mmfreq.GFNet', '--arch', 'hs'), "no arch 'hs'; did you mean"),
        (('--backbone', 'mmpretrain.EfficientFormer', '--shape', 8), '8 x 8 pixels'),
        ((tmp_path / 'empty.py',), 'has no model with a backbone'),
        (('no/such.py',), 'there is no config no/such.py'),
        (('mmdet::no/such.py',), 'there is no config mmdet::no/such.py'),
        (('configs/upernet_gfnet_hs_ade20k.py',), 'did you mean configs/upernet_gfnet_h_'),
        (('mmseg::fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',), 'did you mean mmseg::fcn/fcn_r50'),
        ((tmp_path / 'syntax.py',), 'syntax.py cannot be read (SyntaxError'),
        ((SSD, '--cfg-options', 'model.backbone.in_chanels=1'), 'did you mean in_channels?'),
        (('--backbone', 'gfnet-ti', '--cfg-options', 'a=1'), '--cfg-options is for configs'),
        (('mmsome::no/such.py',), 'configs are in mmfreq, mmdet, mmseg and mmpretrain'),
        (('--backbone', 'gfnet-h-s', '--shape', 0), '--shape takes'),
        ((), 'name configs or a backbone'),
        ((SSD, '--arch', 's'), '--arch is for --backbone'),
    ):
        assert message in refusal(FLOPS, *options)


def test_every_backbone_with_a_name_is_built():
    from mmfreq.zoo import build_backbone

    for config in backbone_names().values():
        if config.get('arch') not in ('b', 'h-b', 'b36', 'm36'):
            build_backbone(config)


def test_largest_consumers_of_time():
    printed = here(
        'tools/analysis_tools/profile_network.py',
        *('affnet-et', '--size', 64, '--top', 3, '--variants', 'eager', 'bf16', '--csv'),
    )
    rows = list(csv.DictReader(printed.splitlines()))
    assert [row['variant'] for row in rows] == ['eager'] * 3 + ['bf16'] * 3
    shares = [float(row['share']) for row in rows[:3]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) < 1
    assert all(row['operator'].startswith('aten::') and float(row['ms']) > 0 for row in rows[:3])


def test_labels_of_shifted_windows_are_compared_where_they_overlap(monkeypatch):
    monkeypatch.syspath_prepend('tools/analysis_tools')
    from shift_consistency import equal_labels

    scene = np.arange(12 * 14).reshape(12, 14)
    first, second = scene[:10, :12].copy(), scene[2:, 2:].copy()
    same, near = equal_labels(first, second, 2, 1)
    assert same.shape == (8, 10) and same.all()
    assert (~near).sum() == 6 * 8 and near[0].all() and near[:, -1].all()
    second[3, 4] = -1
    same, _ = equal_labels(first, second, 2, 1)
    assert np.argwhere(~same).tolist() == [[3, 4]]


@pytest.mark.thorough
def test_shift_consistency_of_a_segmentor(mini_data, tmp_path):
    images = mini_data / 'ADEChallengeData2016/images/validation'
    model = mmfreq.init_model(ADE, device='cpu')
    path = tmp_path / 'model.pth'
    torch.save(model.state_dict(), path)
    tool = 'tools/analysis_tools/shift_consistency.py'
    done = python(tool, ADE, path, '--images', images, '--shift', 4, '--border', 8)
    near, inside = map(float, done.stdout.splitlines()[-1].split(',')[-2:])
    assert 0 < near <= 1 and 0 < inside <= 1
    done = python(tool, ADE, path, '--images', images, '--border', 80, check=False)
    assert done.returncode == 1 and 'too small for --shift 16 and --border 80' in output(done)
