# SPDX-License-Identifier: Apache-2.0
"""CPN and RMPE (AlphaPose) for MMPose and MMDetection.

Importing this package checks the OpenMMLab stack, registers every class in MMPose's
registries and makes MMEngine load its own checkpoints safely. Where no OpenMMLab
package is installed, :mod:`rmpe_plugin.ops` is all there is.
"""

from .utils.stack import check_stack
from .version import __version__

if check_stack():
    from . import codecs, datasets, engine, evaluation, models, visualization  # noqa: F401
    from .utils.checkpoint import register_safe_loaders

    register_safe_loaders()

__all__ = ['__version__']
