# SPDX-License-Identifier: Apache-2.0
"""Configs by their names in packages, such as ``rmpe_plugin::cpn/coco/NAME.py``."""

from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from .files import find_shipped

PACKAGE = 'rmpe_plugin'


def register_config_names() -> None:
    """Make ``_base_ = 'rmpe_plugin::PATH'`` name a config of this package.

    ``PATH`` begins in ``configs``. MMEngine does this for the packages of OpenMMLab by
    ``MODULE2PACKAGE``. An entry for this package would not do: MMEngine does not find
    the configs of a checkout, and would search the types in registries of their own,
    while this package registers them in MMPose's.
    """
    of_openmmlab = Config._get_cfg_path

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        """Path of a config, and the scope of its types; ``None`` is the default."""
        package, _, path = cfg_path.partition('::')
        if package == PACKAGE:
            return str(find_shipped(f'configs/{path}')), None
        # MMEngine reads all metafiles of the package before it looks for the file.
        spec = find_spec(package) if package in MODULE2PACKAGE else None
        for folder in spec.submodule_search_locations if spec else ():
            file = Path(folder, '.mim', 'configs', path)
            if file.is_file():
                return str(file), package
        return of_openmmlab(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)


def find_config(name: str | Path) -> Path:
    """Find a config by its path, or by its name in this package or in OpenMMLab's.

    Args:
        name (str | Path): Path of a file, or ``PACKAGE::PATH`` as in ``_base_``, such
            as ``'mmpose::body_2d_keypoint/rtmpose/coco/NAME.py'``.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If the package is not installed.
        ValueError: If MMEngine does not know the package, or the name has no folder.
    """
    package, separator, _ = str(name).partition('::')
    if not separator:
        if not Path(name).is_file():
            raise FileNotFoundError(f'{name} does not exist')
        return Path(name)
    if package not in (PACKAGE, *MODULE2PACKAGE):
        raise ValueError(
            f'config {name}: unknown package {package!r}, known are {PACKAGE}, '
            f'{", ".join(MODULE2PACKAGE)}'
        )
    return Path(Config._get_cfg_path(str(name), '')[0])
