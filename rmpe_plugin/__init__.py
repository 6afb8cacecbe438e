# SPDX-License-Identifier: Apache-2.0
"""CPN and RMPE (AlphaPose) for MMPose and MMDetection.

Importing this package checks the versions of the OpenMMLab packages, adds all classes
to MMPose's registries, which import them when they are first used, makes MMEngine load
checkpoints with torch's weights-only unpickler, and makes
``_base_ = 'rmpe_plugin::PATH'`` work in configs. If no OpenMMLab package is installed,
only :mod:`rmpe_plugin.ops` can be used.
"""

from .utils.stack import check_stack
from .version import __version__

if check_stack():
    from .utils.configs import register_config_names
    from .utils.lazy import import_after, register_packages

    register_packages()
    register_config_names()
    # It makes the loaders safe.
    import_after('mmengine.runner.checkpoint', 'rmpe_plugin.utils.checkpoint')

__all__ = ['__version__']
