# SPDX-License-Identifier: Apache-2.0
"""Check that the OpenMMLab packages are installed in supported versions."""

from importlib import import_module
from importlib.util import find_spec

# Lowest supported version and first unsupported one, in the order of the imports
# between the packages.
SUPPORTED = {
    'mmengine': ('0.10.0', '1.0.0'),
    'mmcv': ('2.0.0', '3.0.0'),
    'mmdet': ('3.1.0', '4.0.0'),
    'mmpose': ('1.3.0', '2.0.0'),
}


def check_stack(supported: dict[str, tuple[str, str]] = SUPPORTED) -> bool:
    """Check the versions of the OpenMMLab packages.

    Args:
        supported (dict[str, tuple[str, str]]): Lowest supported version and first
            unsupported version of each package.

    Returns:
        bool: Whether the packages are installed; ``False`` if none of them is.

    Raises:
        ImportError: If only some of them are installed, a version is not supported, or
            mmcv has no operators.
    """
    missing = [name for name in supported if find_spec(name) is None]
    if len(missing) == len(supported):
        return False
    required = ', '.join(f'{n}>={low},<{high}' for n, (low, high) in supported.items())
    if missing:
        raise ImportError(
            f'rmpe_plugin requires {required}; not installed: {", ".join(missing)}'
        )
    from mmengine.utils import digit_version

    for name, (low, high) in supported.items():
        version = import_module(name).__version__
        if not digit_version(low) <= digit_version(version) < digit_version(high):
            raise ImportError(
                f'rmpe_plugin requires {required}; installed: {name} {version}'
            )
    if find_spec('mmcv._ext') is None:
        raise ImportError(
            'mmcv-lite has no operators (mmcv._ext). To use those of torchvision, run '
            'rmpe operators'
        )
    return True
