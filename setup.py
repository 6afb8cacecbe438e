# SPDX-License-Identifier: Apache-2.0
"""Add the files that OpenMIM needs to the wheel; all settings are in setup.cfg."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithMim(build_py):
    """Copy configs, tools and the model index to ``rmpe_plugin/.mim`` of the wheel."""

    def run(self) -> None:
        """Build the package, then add the files unless the install is editable."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'rmpe_plugin' / '.mim'
        skip = shutil.ignore_patterns('__pycache__')
        for name in ('configs', 'tools'):
            shutil.copytree(ROOT / name, mim / name, dirs_exist_ok=True, ignore=skip)
        shutil.copy2(ROOT / 'model-index.yml', mim)


setup(cmdclass={'build_py': BuildWithMim})
