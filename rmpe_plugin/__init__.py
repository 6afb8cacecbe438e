# SPDX-License-Identifier: Apache-2.0
"""CPN and RMPE (AlphaPose) for MMPose and MMDetection.

Importing this package checks the versions of the OpenMMLab packages, registers all
classes in MMPose's registries, makes MMEngine load checkpoints with torch's
weights-only unpickler, and makes ``_base_ = 'rmpe_plugin::PATH'`` work in configs. If
no OpenMMLab package is installed, only :mod:`rmpe_plugin.ops` can be used.
"""

from .utils.stack import check_stack
from .version import __version__

if check_stack():
    from . import (  # noqa: F401
        codecs,
        datasets,
        engine,
        evaluation,
        models,
        tracking,
        visualization,
    )
    from .utils.checkpoint import register_safe_loaders
    from .utils.configs import register_config_names

    register_safe_loaders()
    register_config_names()

__all__ = ['__version__']
