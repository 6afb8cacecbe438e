# SPDX-License-Identifier: Apache-2.0
"""Loading of pose estimators, and the choice of their runtime."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from rmpe_plugin.deploy.requirements import require
from rmpe_plugin.utils.model_zoo import find_model

from .onnx_cache import cached_onnx
from .onnx_pose_estimator import OnnxPoseEstimator
from .pose_estimator import PoseEstimator, load_config

# Weights in this package.
INCLUDED = 'package://rmpe_plugin/'


def load_estimator(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    precision: str = 'float32',
    cfg_options: dict | None = None,
) -> PoseEstimator:
    """Load a pose estimator. The log says which runtime computes it.

    Args:
        config (str | Path | Config): A name, a config or an ONNX file, see
            :func:`find_model`. The name of a model in this package is computed by
            onnxruntime on a CPU, if it is installed, otherwise by PyTorch, as are all
            other configs.
        checkpoint (str | Path, optional): See :func:`find_model`. ``None`` leaves the
            model of a config file untrained.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        precision (str): ``'float32'``, or ``'bfloat16'`` for autocast in PyTorch.
            Defaults to ``'float32'``.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.

    Returns:
        PoseEstimator: The pose estimator.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImportError: If an ONNX file is given and onnxruntime is not installed.
        ValueError: If a setting is invalid, or if the checkpoint does not fit the
            config.
    """
    options = (device, precision, cfg_options)
    is_name = checkpoint is None
    if not isinstance(config, Config):
        config, checkpoint = find_model(config, checkpoint)
    if is_name and str(checkpoint).startswith(INCLUDED):
        estimator = _load_included(config, str(checkpoint), *options)
    elif isinstance(config, Config) or config.suffix != '.onnx':
        estimator = _load_torch(config, checkpoint, *options)
    elif checkpoint is not None or cfg_options or precision != 'float32':
        raise ValueError(
            f'{config} contains its weights, precision and settings: checkpoint, '
            f'precision and cfg_options cannot be changed, got {checkpoint!r}, '
            f'{precision!r} and {cfg_options!r}'
        )
    else:
        estimator = OnnxPoseEstimator(config, device)
    print_log(f'runtime of the pose estimator: {estimator.runtime}', logger='current')
    return estimator


def _load_included(
    config: Path | Config,
    weights: str,
    device: str | None,
    precision: str,
    cfg_options: dict | None,
) -> PoseEstimator:
    """Load a model in this package for the fastest runtime that is installed."""
    device = device or get_device()
    if device == 'cpu' and precision == 'float32':
        try:
            require('onnxruntime')
            changed = load_config(config, cfg_options)
            return OnnxPoseEstimator(cached_onnx(changed, weights), device)
        except (ImportError, OSError) as error:
            print_log(f'onnxruntime is not used: {error}', logger='current')
    return _load_torch(config, weights, device, precision, cfg_options)


def _load_torch(*arguments: Any) -> PoseEstimator:
    """Load a model for PyTorch. This imports all models of MMPose."""
    from .torch_pose_estimator import TorchPoseEstimator

    return TorchPoseEstimator(*arguments)
