"""What a config is about: family, decoder, data sets and metrics, from its content.

The name of its file says nothing here: any config of mmseg, mmdet or mmpretrain has these facts.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from mmfreq.utils.config_tree import as_list, dicts_in, find_data_sets, type_name
from mmfreq.utils.errors import ConfigError
from mmfreq.zoo import model_settings

__all__ = [
    'METRICS',
    'Metric',
    'classes_of',
    'data_set_of',
    'decoder_of',
    'family_of',
    'family_of_type',
    'metrics_of',
]


class Metric(NamedTuple):
    """A metric in OpenMMLab's metafiles.

    Attributes:
        task (str): What it evaluates, such as ``'Object Detection'``.
        name (str): Its name there.
    """

    task: str
    name: str


METRICS = {
    'top-1': Metric('Image Classification', 'Top 1 Accuracy'),
    'mIoU': Metric('Semantic Segmentation', 'mIoU'),
    'box AP': Metric('Object Detection', 'box AP'),
    'mask AP': Metric('Instance Segmentation', 'mask AP'),
}
EVALUATED = {'bbox': 'box AP', 'segm': 'mask AP'}  # as CocoMetric calls them
# Names that differ from those of the classes; 'Head' and 'Dataset' are left out of the others.
DECODERS = {
    'UPerHead': 'UperNet',
    'FPNHead': 'Semantic FPN',
    'FCNHead': 'FCN',
    'PSPHead': 'PSPNet',
    'ASPPHead': 'DeepLabV3',
    'DepthwiseSeparableASPPHead': 'DeepLabV3+',
    'SegformerHead': 'SegFormer',
    'RetinaHead': 'RetinaNet',
}
DATA_SETS = {
    'Coco': 'COCO',
    'COCOStuff': 'COCO-Stuff',
    'ImageNet': 'ImageNet-1k',
    'LVISV1': 'LVIS v1',
    'PascalContext': 'Pascal Context',
    'PascalContext59': 'Pascal Context 59',
    'PascalVOC': 'Pascal VOC',
    'VOC': 'Pascal VOC',
}


def family_of(config: Config, families: Mapping[str, Mapping[str, Any]]) -> str:
    """Folder name of the family that a config's backbone belongs to.

    Args:
        config (Config): Any config with a backbone.
        families (Mapping): Facts of families, see :class:`mmfreq.facts.Published`; one whose name
            is not that of its class has ``backbone``, the names of its classes.

    Returns:
        str: For example ``'dfformer'`` for ``mmfreq.DFFormer``.
    """
    return family_of_type(type_name(model_settings(config)['backbone']), families)


def family_of_type(kind: str, families: Mapping[str, Mapping[str, Any]]) -> str:
    """Folder name of the family that a class of backbones belongs to.

    Args:
        kind (str): Name of the class.
        families (Mapping): See :func:`family_of`.

    Returns:
        str: For example ``'fdconv'`` for ``FDResNet``.
    """
    named = {
        kind: name for name, facts in families.items() for kind in as_list(facts.get('backbone'))
    }
    return named.get(kind, kind.lower())


def decoder_of(config: Config) -> str:
    """Name of what uses the backbone's features: ``''`` for classifiers.

    Args:
        config (Config): Any config with a backbone.

    Returns:
        str: For example ``'Semantic FPN'`` or ``'Mask R-CNN'``.
    """
    model = model_settings(config)
    if model.get('roi_head'):
        stages = 'Cascade ' if type_name(model['roi_head']).startswith('Cascade') else ''
        if model['roi_head'].get('mask_head'):
            return f'{stages}Mask R-CNN'
        return f'{stages or "Faster "}R-CNN'
    for key in ('decode_head', 'bbox_head', 'mask_head', 'panoptic_head'):
        if model.get(key):
            head = as_list(model[key])[-1]
            kind = type_name(head)
            if kind == 'SSDHead':
                return 'SSDLite' if head.get('use_depthwise') else 'SSD'
            return DECODERS.get(kind, kind.removesuffix('Head'))
    return ''


def data_set_of(config: Config, split: str = 'test') -> str:
    """Name of a config's data set, from the type of the class that reads it.

    Args:
        config (Config): Any config with data.
        split (str): ``'test'`` or ``'train'``. Defaults to ``'test'``.

    Returns:
        str: For example ``'COCO'``; ``'own data (Coco)'`` where the config sets classes of its own.

    Raises:
        ConfigError: If the config has no data set.
    """
    found = find_data_sets(config)
    chosen = [node for path, node in found.items() if path.startswith(f'{split}_')]
    if not found:
        raise ConfigError(f'{config.filename} has no data set')
    data_set = (chosen or list(found.values()))[0]
    name = type_name(data_set).replace('Dataset', '')
    if 'classes' in (data_set.get('metainfo') or {}):
        return f'own data ({name})'
    return DATA_SETS.get(name, name)


def metrics_of(config: Config) -> tuple[str, ...]:
    """Metrics that a config is evaluated with, the one of its main task first.

    Args:
        config (Config): Any config with a backbone.

    Returns:
        tuple[str, ...]: Of :data:`METRICS`: mIoU of segmentors, top-1 of classifiers, box AP and
        mask AP of detectors as their evaluators say, or, if they do not, as their heads do.
    """
    model = model_settings(config)
    if model.get('decode_head'):
        return ('mIoU',)
    if model.get('head'):
        return ('top-1',)
    said = [
        metric
        for _, evaluator in dicts_in(config.get('test_evaluator'))
        for metric in as_list(evaluator.get('metric'))
    ]
    evaluated = tuple(name for metric, name in EVALUATED.items() if metric in said)
    masks = ('mask AP',) if any(node.get('mask_head') for _, node in dicts_in(model)) else ()
    return evaluated or ('box AP', *masks)


def classes_of(config: Config) -> int:
    """Number of classes that all heads of a config's model know, 2 if they do not say.

    Args:
        config (Config): Any config with a backbone.

    Returns:
        int: The smallest number of classes of a head.
    """
    heads = dicts_in(model_settings(config))
    return min((node['num_classes'] for _, node in heads if 'num_classes' in node), default=2)
