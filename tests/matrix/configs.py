"""Configs of mmseg, mmdet, mmpretrain and mmfreq as they are, with small images and short runs."""

from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmfreq.utils.config_tree import dicts_in, type_name

CONFIGS = {
    'fcn': 'mmseg::fcn/fcn_r50-d8_4xb4-80k_ade20k-512x512.py',
    'upernet': 'mmseg::upernet/upernet_r18_4xb4-80k_ade20k-512x512.py',
    'faster-rcnn': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'retinanet': 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
    'soft-teacher': (
        'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py'
    ),
    'resnet': 'mmpretrain::resnet/resnet18_8xb32_in1k.py',
    'upernet-gfnet': 'configs/upernet_gfnet_h_ti_ade20k.py',
    'fpn-dsm': 'configs/fpn_dsm_s_ade20k.py',
    'mask-rcnn-affnet': 'configs/mask_rcnn_affnet_et_coco.py',
    'retinanet-gfnet': 'configs/retinanet_gfnet_h_ti_coco.py',
    'deeplabv3-affnet': 'configs/deeplabv3_affnet_et_ade20k.py',
    'ssdlite-affnet': 'configs/ssdlite_affnet_et_coco.py',
    'faster-rcnn-fdconv': 'configs/faster_rcnn_fdconv_r50_coco.py',
}
WITH_USERS_KEYS = [f'{name}+' for name in list(CONFIGS)[:10] if name != 'soft-teacher']
ALL = [*CONFIGS, *WITH_USERS_KEYS]


def is_segmentor(name):
    return name.startswith(('fcn', 'upernet', 'fpn', 'deeplab'))


def is_classifier(name):
    return name.startswith('resnet')


def library_path(name):
    """Path of a config that a library brings along."""
    library, _, path = name.rpartition('::')
    if not library:
        return path
    module = __import__(library)
    return str(Path(module.__file__).parent / '.mim/configs' / path)


def write_small(name, folder):
    """Write a config of ``ALL`` with small images and short runs; returns its path."""
    cfg = Config.fromfile(library_path(CONFIGS[name.rstrip('+')]))
    if is_classifier(name):
        read_folders(cfg)
    shrink(cfg)
    if name.endswith('+'):
        add_users_keys(cfg)
    path = folder / f'{name}.py'
    cfg.dump(path)
    return path


def shrink(cfg):
    for _, node in dicts_in(cfg._cfg_dict):
        for key, small in (('scale', (96, 64)), ('crop_size', (64, 64))):
            given = node.get(key)
            if isinstance(given, (tuple, list)):
                node[key] = [small, small] if isinstance(given[0], (tuple, list)) else small
            elif isinstance(given, int):
                node[key] = small[1]
        if node.get('mode') == 'slide':
            node['stride'] = (64, 64)
        if type_name(node) == 'SegDataPreProcessor':
            node['size'] = (64, 64)
        if 'img_size' in node:
            node['img_size'] = 64
        if 'max_per_img' in node:
            node.update(max_per_img=20)
        if 'score_thr' in node:
            node['score_thr'] = 0.0  # so that an untrained detector finds something
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        if split != 'train':
            loader.dataset.indices = 2
    if 'source_ratio' in cfg.train_dataloader.sampler:
        cfg.train_dataloader.sampler.batch_size = 2
        cfg.train_dataloader.sampler.source_ratio = [1, 1]
    if 'max_iters' in cfg.train_cfg:
        cfg.train_cfg.update(max_iters=2, val_interval=2)
        cfg.default_hooks.checkpoint.interval = 2
    else:
        cfg.train_cfg.max_epochs = 1
        cfg.train_dataloader.dataset.indices = 4
    cfg.default_hooks.logger.interval = 1


def read_folders(cfg):
    """A classifier's config for a folder of classes, as mmpretrain's documents say."""
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(type='CustomDataset', data_prefix='train' if split == 'train' else 'val')
        dataset.pop('split')
    cfg.model.head.update(num_classes=3, topk=(1,))
    cfg.val_evaluator.topk = cfg.test_evaluator.topk = (1,)


def add_users_keys(cfg):
    """What people add to a config: EMA, an initialisation, learning rates, a wrapped data set."""
    cfg.custom_hooks = [dict(type='EMAHook')]
    normal = dict(type='TruncNormal', layer='Linear', std=1e-4)
    if cfg.model.get('pretrained'):  # mmseg's older way, which excludes init_cfg
        cfg.model.pretrained = None
    given = cfg.model.backbone.get('init_cfg') or []
    cfg.model.backbone.init_cfg = [normal, *(given if isinstance(given, list) else [given])]
    options = cfg.optim_wrapper.get('paramwise_cfg') or {}
    keys = {**options.get('custom_keys', {}), 'backbone': dict(lr_mult=0.0)}
    cfg.optim_wrapper.paramwise_cfg = {**options, 'custom_keys': keys}
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=1, dataset=cfg.train_dataloader.dataset
    )


def write_data(mini, folder):
    """Data for all configs: the rendered ones, unlabelled images, and a folder of classes."""
    semi = folder / 'coco/semi_anns'
    (folder / 'coco').mkdir(parents=True)
    for part in (mini / 'coco').iterdir():
        (folder / 'coco' / part.name).symlink_to(part)
    semi.mkdir()
    for name in ('instances_train2017.1@10.json', 'instances_train2017.1@10-unlabeled.json'):
        (semi / name).symlink_to(mini / 'coco/annotations/instances_train2017.json')
    (folder / 'ade').symlink_to(mini / 'ADEChallengeData2016')
    for split in ('train', 'val'):
        for i, kind in enumerate(('blue', 'green', 'red')):
            place = folder / 'classes' / split / kind
            place.mkdir(parents=True)
            for k in range(2):
                image = np.zeros((72, 80, 3), np.uint8)
                image[..., i] = 100 + 20 * k
                cv2.imwrite(str(place / f'{k}.png'), image)


def data_root(name, folder):
    kind = 'ade' if is_segmentor(name) else 'classes' if is_classifier(name) else 'coco'
    return folder / kind
