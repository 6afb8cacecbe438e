# SPDX-License-Identifier: Apache-2.0
"""Loading of pose estimators, and the choice of their runtime."""

from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from rmpe_plugin.deploy.requirements import require

from .model_zoo import ZooModel, list_models
from .onnx_cache import cached_onnx
from .onnx_pose_estimator import OnnxPoseEstimator
from .pose_estimator import PoseEstimator, TorchPoseEstimator, load_config


def load_estimator(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    precision: str = 'float32',
    cfg_options: dict | None = None,
) -> PoseEstimator:
    """Load a pose estimator. The log says which runtime computes it.

    Args:
        config (str | Path | Config): One of: the alias of a trained model, see
            :func:`list_models`; an ONNX file of ``rmpe export``; a config, or the file
            or name of one. A trained model is computed by onnxruntime on a CPU, if it
            is installed, otherwise by PyTorch. Config and checkpoint are computed by
            PyTorch.
        checkpoint (str | Path, optional): File or URL of the weights. ``None`` leaves
            the model of a config untrained.
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
    models = list_models() if isinstance(config, str) and checkpoint is None else {}
    if config in models:
        estimator = _load_trained(models[config], device, precision, cfg_options)
    elif isinstance(config, Config) or Path(config).suffix != '.onnx':
        options = (device, precision, cfg_options)
        estimator = TorchPoseEstimator(config, checkpoint, *options)
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


def _load_trained(
    model: ZooModel, device: str | None, precision: str, cfg_options: dict | None
) -> PoseEstimator:
    """Load a trained model for the fastest runtime that is installed."""
    device = device or get_device()
    if device == 'cpu' and precision == 'float32':
        try:
            require('onnxruntime')
            config = load_config(model.config, cfg_options)
            return OnnxPoseEstimator(cached_onnx(config, model.weights), device)
        except (ImportError, OSError) as error:
            print_log(f'onnxruntime is not used: {error}', logger='current')
    return TorchPoseEstimator(
        model.config, model.weights, device, precision, cfg_options
    )
