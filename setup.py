"""Builds the package with configs and metafiles in it; all else is said in setup.cfg."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithConfigs(build_py):
    """Copies what OpenMMLab's tools look for in ``.mim`` of a package."""

    def run(self) -> None:
        """Build; an editable install has the configs of the checkout already."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'mmfreq/.mim'
        shutil.rmtree(target, ignore_errors=True)
        ignore = shutil.ignore_patterns('__pycache__')
        shutil.copytree(HERE / 'configs', target / 'configs', ignore=ignore)
        shutil.copytree(HERE / 'tools', target / 'tools', ignore=ignore)
        shutil.copy(HERE / 'model-index.yml', target)


setup(cmdclass=dict(build_py=BuildWithConfigs))
