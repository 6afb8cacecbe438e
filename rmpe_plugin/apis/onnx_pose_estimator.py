# SPDX-License-Identifier: Apache-2.0
"""An exported pose estimator in place of a PyTorch model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData

from rmpe_plugin.deploy.session import open_session, read_metadata

from .people_cropper import Images, PeopleCropper
from .pose_estimator import pose_instances


class OnnxPoseEstimator:
    """A pose estimator that ``rmpe export`` has exported, with onnxruntime.

    Args:
        path (str | Path): ONNX file.
        device (str, optional): ``'cpu'`` or ``'cuda'``. Defaults to ``None``: CUDA if
            this onnxruntime supports it.

    Attributes:
        dataset_meta (dict): MMPose's description of the keypoints.
        score_range (tuple[float, float]): Range of the keypoint scores.
        calibration (tuple[float, float], optional): See
            :func:`rmpe_plugin.ops.unit_scores`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is not an exported pose estimator.
    """

    def __init__(self, path: str | Path, device: str | None = None) -> None:
        self.session = open_session(path, device)
        self.metadata = read_metadata(self.session, path)
        self.dataset_meta = self.metadata.dataset_meta
        self.score_range = self.metadata.score_range
        self.calibration = self.metadata.calibration
        # Sessions take arrays in host memory.
        self._cropper = PeopleCropper(
            self.metadata.geometry, torch.device('cpu'), self.metadata.color
        )
        is_float = self.session.get_inputs()[0].type == 'tensor(float)'
        self._dtype = 'float32' if is_float else 'uint8'

    def estimate(
        self, images: Images, people: Sequence[InstanceData], batch_size: int
    ) -> InstanceData:
        """Estimate poses, see :meth:`PoseEstimator.estimate`."""
        bboxes = [boxes.bboxes for boxes in people]
        batches = [
            self._predict(crops.numpy(), matrices.numpy())
            for crops, matrices in self._cropper.batches(images, bboxes, batch_size)
        ]
        return pose_instances(*map(np.concatenate, zip(*batches, strict=True)))

    def _predict(
        self, crops: np.ndarray, matrices: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (B, K, 2) in pixels of the images, and scores (B, K)."""
        feeds = {'crops': np.ascontiguousarray(crops, self._dtype)}
        keypoints, scores = self.session.run(None, feeds)
        linear, shift = matrices[:, None, :, :2], matrices[:, None, :, 2]
        return (linear @ keypoints[..., None])[..., 0] + shift, scores
