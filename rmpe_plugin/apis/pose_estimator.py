# SPDX-License-Identifier: Apache-2.0
"""The interface of all pose estimators, and their configs."""

from collections.abc import Sequence
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
        ValueError: If its models are not top-down.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    cfg = config.copy()
    cfg.merge_from_dict(cfg_options or {})
    if cfg.get('data_mode', 'topdown') != 'topdown':
        raise ValueError(f"config.data_mode must be 'topdown', got {cfg.data_mode!r}")
    return cfg
