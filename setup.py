# SPDX-License-Identifier: Apache-2.0
"""Package what OpenMIM looks for; everything else stands in setup.cfg."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithMim(build_py):
    """Put configs, tools and the model index into ``rmpe_plugin/.mim`` of the wheel."""

    def run(self) -> None:
        """Build the package, then add the files; an editable install needs none."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'rmpe_plugin' / '.mim'
        skip = shutil.ignore_patterns('__pycache__')
        for name in ('configs', 'tools'):
            shutil.copytree(ROOT / name, mim / name, dirs_exist_ok=True, ignore=skip)
        shutil.copy2(ROOT / 'model-index.yml', mim)


setup(cmdclass={'build_py': BuildWithMim})
