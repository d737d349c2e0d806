"""mmfreq: frequency-domain backbones for OpenMMLab's dense-prediction libraries.

Importing this package loads neither torch nor any OpenMMLab library; ask for ``mmfreq.ops``,
``mmfreq.models`` or ``mmfreq.registry``, or write ``type='mmfreq.GFNet'`` in a config, and only
what is needed is imported.
"""

from mmfreq.version import __version__

__all__ = ['__version__']
