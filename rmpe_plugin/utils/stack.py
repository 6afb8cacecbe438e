# SPDX-License-Identifier: Apache-2.0
"""Check that the OpenMMLab packages are there and fit."""

from importlib import import_module
from importlib.util import find_spec

# First version that works and first that is not known to, in the order in which the
# packages import one another.
SUPPORTED = {
    'mmengine': ('0.10.0', '1.0.0'),
    'mmcv': ('2.0.0', '3.0.0'),
    'mmdet': ('3.1.0', '4.0.0'),
    'mmpose': ('1.3.0', '2.0.0'),
}


def check_stack(supported: dict[str, tuple[str, str]] = SUPPORTED) -> bool:
    """Check the OpenMMLab packages' versions.

    Args:
        supported (dict[str, tuple[str, str]]): For each package the lowest version and
            the version to stay below.

    Returns:
        bool: Whether the packages are installed; ``False`` where none of them is.

    Raises:
        ImportError: If only some of them are installed, or one of another version.
    """
    missing = [name for name in supported if find_spec(name) is None]
    if len(missing) == len(supported):
        return False
    wanted = ', '.join(f'{n}>={low},<{high}' for n, (low, high) in supported.items())
    if missing:
        raise ImportError(
            f'rmpe_plugin wants {wanted}; not installed: {", ".join(missing)}'
        )
    from mmengine.utils import digit_version

    for name, (low, high) in supported.items():
        found = import_module(name).__version__
        if not digit_version(low) <= digit_version(found) < digit_version(high):
            raise ImportError(f'rmpe_plugin wants {wanted}; found {name} {found}')
    return True
