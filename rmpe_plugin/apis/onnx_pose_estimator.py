# SPDX-License-Identifier: Apache-2.0
"""An exported pose estimator in place of a PyTorch model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from rmpe_plugin.deploy import open_session, read_metadata
from rmpe_plugin.inference import CorePool, Images, PeopleCropper, estimate_poses
from rmpe_plugin.ops import crop_to_image


class OnnxPoseEstimator:
    """A pose estimator that ``rmpe export`` has exported, with onnxruntime.

    Args:
        path (str | Path): ONNX file.
        device (str | torch.device, optional): See
            :func:`rmpe_plugin.deploy.open_session`. Defaults to ``None``.

    Attributes:
        dataset_meta (dict): MMPose's description of the keypoints.
        runtime (str): See :class:`PoseEstimator`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is not an exported pose estimator.
    """

    def __init__(
        self, path: str | Path, device: str | torch.device | None = None
    ) -> None:
        self.session = open_session(path, device)
        # not required by this package
        import onnxruntime

        self.metadata = read_metadata(self.session, path)
        self.dataset_meta = self.metadata.dataset_meta
        # Sessions take arrays in host memory.
        self._cropper = PeopleCropper(
            self.metadata.geometry, torch.device('cpu'), self.metadata.color
        )
        provider = self.session.get_providers()[0]
        self.runtime = f'onnxruntime {onnxruntime.__version__}, {provider}'
        self._cores = CorePool() if provider == 'CPUExecutionProvider' else None
        is_float = self.session.get_inputs()[0].type == 'tensor(float)'
        self._dtype = 'float32' if is_float else 'uint8'

    def estimate(
        self, images: Images, people: Sequence[InstanceData], batch_size: int
    ) -> InstanceData:
        """Estimate poses, see :meth:`PoseEstimator.estimate`."""
        return estimate_poses(
            self._run, self._cropper, images, people, batch_size, self._cores
        )

    def _run(self, crops: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints (B, K, 2) in pixels of the images, and scores (B, K)."""
        feeds = {'crops': np.ascontiguousarray(crops.numpy(), self._dtype)}
        keypoints, scores = map(torch.from_numpy, self.session.run(None, feeds))
        return crop_to_image(keypoints, matrices), scores
