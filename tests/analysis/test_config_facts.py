"""Facts of made-up configs and of those of the libraries, whatever their files are called."""

import pytest
from mmengine.config import Config

from mmfreq.analysis.config_facts import (
    METRICS,
    classes_of,
    data_set_of,
    decoder_of,
    family_of,
    metrics_of,
)
from mmfreq.facts import read_published
from mmfreq.utils.config_files import read_model_config
from mmfreq.utils.errors import ConfigError

FAMILIES = read_published().families


def facts(config):
    return family_of(config, FAMILIES), decoder_of(config), data_set_of(config), metrics_of(config)


def made_up(model, data_set, **more):
    loader = dict(dataset=dict(data_root='data/x', **data_set))
    return Config(dict(model=model, train_dataloader=loader, test_dataloader=loader, **more))


SEGMENTOR = dict(
    type='EncoderDecoder',
    backbone=dict(type='mmfreq.DFFormer', arch='s18'),
    decode_head=dict(type='FPNHead', num_classes=19),
    auxiliary_head=dict(type='FCNHead', num_classes=19),
)
DETECTOR = dict(
    type='MaskRCNN',
    backbone=dict(type='mmfreq.FDResNet', arch='50'),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_head=dict(type='Shared2FCBBoxHead', num_classes=8),
        mask_head=dict(type='FCNMaskHead', num_classes=8),
    ),
)
CLASSIFIER = dict(
    type='ImageClassifier',
    backbone=dict(type='mmfreq.GFNet', arch='h-s', out_indices=-1),
    head=dict(type='LinearClsHead', num_classes=1000),
)


def test_a_segmentor_of_cityscapes():
    config = made_up(SEGMENTOR, dict(type='mmseg.CityscapesDataset'), default_scope='mmseg')
    assert facts(config) == ('dfformer', 'Semantic FPN', 'Cityscapes', ('mIoU',))
    assert classes_of(config) == 19


def test_a_detector_of_instances_in_cityscapes():
    evaluators = [
        dict(type='CocoMetric', metric=['bbox', 'segm']),
        dict(type='CityScapesMetric', outfile_prefix='x'),
    ]
    config = made_up(DETECTOR, dict(type='CityscapesDataset'), test_evaluator=evaluators)
    assert facts(config) == ('fdconv', 'Mask R-CNN', 'Cityscapes', ('box AP', 'mask AP'))
    assert classes_of(config) == 8


def test_a_classifier_of_imagenet():
    config = made_up(CLASSIFIER, dict(type='ImageNet'), default_scope='mmpretrain')
    assert facts(config) == ('gfnet', '', 'ImageNet-1k', ('top-1',))
    assert classes_of(config) == 1000


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        (
            'mmseg::upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
            ('resnetv1c', 'UperNet', 'Cityscapes', ('mIoU',)),
        ),
        (
            'mmseg::fcn/fcn_r50-d8_4xb4-40k_pascal-context-480x480.py',
            ('resnetv1c', 'FCN', 'Pascal Context', ('mIoU',)),
        ),
        (
            'mmseg::pspnet/pspnet_r50-d8_4xb4-20k_voc12aug-512x512.py',
            ('resnetv1c', 'PSPNet', 'Pascal VOC', ('mIoU',)),
        ),
        (
            'mmdet::cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py',
            ('resnet', 'Mask R-CNN', 'Cityscapes', ('box AP', 'mask AP')),
        ),
        (
            'mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py',
            ('resnet', 'Faster R-CNN', 'Pascal VOC', ('box AP',)),
        ),
        (
            'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
            ('resnet', 'Cascade Mask R-CNN', 'COCO', ('box AP', 'mask AP')),
        ),
        (
            'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
            ('resnet', 'FCOS', 'COCO', ('box AP',)),
        ),
        ('mmdet::solo/solo_r50_fpn_1x_coco.py', ('resnet', 'SOLO', 'COCO', ('mask AP',))),
        (
            'mmpretrain::convnext/convnext-tiny_32xb128_in1k.py',
            ('convnext', '', 'ImageNet-1k', ('top-1',)),
        ),
    ],
)
def test_configs_of_the_libraries(name, expected):
    assert facts(read_model_config(name)) == expected


def test_own_data():
    classes = dict(metainfo=dict(classes=('a', 'b')))
    for kind, name in (
        ('mmfreq.BaseSegDataset', 'own data (BaseSeg)'),
        ('CocoDataset', 'own data (Coco)'),  # in COCO's format
    ):
        assert data_set_of(made_up(SEGMENTOR, dict(type=kind, **classes))) == name
    assert data_set_of(made_up(SEGMENTOR, dict(type='LeavesDataset'))) == 'Leaves'


def test_data_sets_of_training_and_test_differ_and_may_be_wrapped():
    wrapped = dict(type='RepeatDataset', dataset=dict(type='COCOStuffDataset', data_root='x'))
    config = Config(
        dict(
            train_dataloader=dict(dataset=wrapped),
            test_dataloader=dict(dataset=dict(type='ADE20KDataset', data_root='y')),
        )
    )
    assert data_set_of(config, 'train') == 'COCO-Stuff'
    assert data_set_of(config) == 'ADE20K'


def test_ssd_is_light_with_depthwise_convolutions():
    head = dict(type='mmfreq.SSDHead', num_classes=80)
    model = dict(type='SingleStageDetector', backbone=dict(type='VGG'), bbox_head=head)
    assert decoder_of(Config(dict(model=model))) == 'SSD'
    model['bbox_head'] = dict(head, use_depthwise=True)
    assert decoder_of(Config(dict(model=model))) == 'SSDLite'


def test_metrics_without_an_evaluator_are_those_of_the_heads():
    assert metrics_of(Config(dict(model=DETECTOR))) == ('box AP', 'mask AP')
    boxes = dict(test_evaluator=dict(type='CocoMetric', metric='bbox'))
    assert metrics_of(Config(dict(model=DETECTOR, **boxes))) == ('box AP',)


def test_a_head_that_a_config_takes_away_is_none():
    """As a detector of boxes does that inherits from one of masks."""
    config = Config(
        dict(model={**DETECTOR, 'roi_head': {**DETECTOR['roi_head'], 'mask_head': None}})
    )
    assert decoder_of(config) == 'Faster R-CNN'
    assert metrics_of(config) == ('box AP',)


def test_what_is_missing_is_said():
    with pytest.raises(ConfigError, match='has no data set'):
        data_set_of(Config(dict(model=SEGMENTOR)))
    with pytest.raises(ConfigError, match='no model with a backbone'):
        decoder_of(Config(dict(a=1)))


def test_published_results_have_known_metrics():
    assert {result['metric'] for result in read_published().results} <= set(METRICS)
