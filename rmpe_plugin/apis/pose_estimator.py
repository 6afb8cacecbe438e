# SPDX-License-Identifier: Apache-2.0
"""The interface of all pose estimators, and their configs."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from mmengine.config import Config
from mmengine.structures import InstanceData

from rmpe_plugin.inference import Images

PRECISIONS = ('float32', 'bfloat16')


class PoseEstimator(Protocol):
    """Interface of the pose estimators.

    Attributes:
        dataset_meta (dict): MMPose's description of the keypoints.
        runtime (str): Name, version and device of the library that computes it.
    """

    dataset_meta: dict
    runtime: str

    def estimate(
        self, images: Images, people: Sequence[InstanceData], batch_size: int
    ) -> InstanceData:
        """Estimate poses, see :func:`rmpe_plugin.inference.estimate_poses`."""
        ...


def load_config(config: Path | Config, cfg_options: dict | None = None) -> Config:
    """Load or copy the config of a top-down model and apply options.

    Args:
        config (Path | Config): A config, or its file.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.

    Returns:
        Config: The config with the changes.

    Raises:
        ImportError: If a part of the model needs a package that is not installed.
        ValueError: If its models are not top-down.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    cfg = config.copy()
    cfg.merge_from_dict(cfg_options or {})
    if cfg.get('data_mode', 'topdown') != 'topdown':
        raise ValueError(f"config.data_mode must be 'topdown', got {cfg.data_mode!r}")
    for name, part in cfg.get('model', {}).items():
        if isinstance(part, dict) and isinstance(part.get('type'), str):
            _check_package(f'model.{name}.type', part['type'])
    return cfg


def _check_package(key: str, name: str) -> None:
    """Raise if a type such as mmpretrain.VisionTransformer needs a missing package."""
    package, dot, _ = name.partition('.')
    if dot and find_spec(package) is None:
        raise ImportError(
            f'{key} {name} needs the package {package}, which is not installed'
        )
