"""Registries of mmfreq: children of MMEngine's root registries with the scope ``mmfreq``.

MMEngine imports ``<scope>.registry`` by itself when it meets ``type='mmfreq.X'``, and ``locations``
name the modules to import then. So every component builds from an mmseg, mmdet or mmpretrain config
without ``custom_imports``.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

from mmfreq.mmengine_patches import hide_debug_messages

__all__ = [
    'DATASETS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'TRANSFORMS',
]

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmfreq', locations=['mmfreq.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmfreq', locations=['mmfreq.datasets']
)
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='mmfreq', locations=['mmfreq.datasets']
)
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mmfreq', locations=['mmfreq.evaluation']
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='mmfreq',
    locations=['mmfreq.engine'],
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmfreq', locations=['mmfreq.engine'])
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, scope='mmfreq', locations=['mmfreq.engine'])

hide_debug_messages()  # of the libraries, which are imported after this
