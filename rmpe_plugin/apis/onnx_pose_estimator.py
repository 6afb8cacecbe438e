# SPDX-License-Identifier: Apache-2.0
"""An exported pose estimator in place of a PyTorch model."""

from pathlib import Path

import numpy as np
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from rmpe_plugin.deploy.session import open_session, read_metadata


class OnnxPoseEstimator:
    """A pose estimator that ``tools/export_onnx.py`` has exported, with onnxruntime.

    Args:
        path (str | Path): ONNX file.
        device (str, optional): ``'cpu'`` or ``'cuda'``. Defaults to ``None``: CUDA if
            this onnxruntime supports it.

    Attributes:
        dataset_meta (dict): MMPose's description of the keypoints.
        pipeline (Compose): Test pipeline, which crops.
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
        with DefaultScope.overwrite_default_scope('mmpose'):
            self.pipeline = Compose(self.metadata.pipeline)
        is_float = self.session.get_inputs()[0].type == 'tensor(float)'
        self._dtype = 'float32' if is_float else 'uint8'

    def predict(self, crops: list[dict]) -> list[InstanceData]:
        """Predict the poses of crops.

        Args:
            crops (list[dict]): Outputs of the pipeline.

        Returns:
            list[InstanceData]: For each crop ``keypoints`` (1, K, 2) in pixels of the
            image, ``keypoint_scores`` and ``keypoints_visible`` (1, K), ``bboxes``
            (1, 4) and ``bbox_scores`` (1,).
        """
        images = np.stack([crop['inputs'].numpy() for crop in crops])
        images = self.metadata.to_input(images, self._dtype)
        keypoints, scores = self.session.run(None, {'crops': images})
        samples = [crop['data_samples'] for crop in crops]
        keypoints = self._to_image(keypoints, samples)
        return [
            InstanceData(
                keypoints=pose[None],
                keypoint_scores=score[None],
                keypoints_visible=score[None],
                bboxes=sample.gt_instances.bboxes,
                bbox_scores=sample.gt_instances.bbox_scores,
            )
            for pose, score, sample in zip(keypoints, scores, samples, strict=True)
        ]

    def _to_image(self, keypoints: np.ndarray, samples: list) -> np.ndarray:
        """Map keypoints (B, K, 2) from pixels of the crops to pixels of the images."""
        center, scale = (
            np.stack([sample.metainfo[name] for sample in samples])[:, None]
            for name in ('input_center', 'input_scale')
        )
        extent = np.subtract(self.metadata.input_size, self.metadata.crop_udp)
        return keypoints / extent * scale + center - 0.5 * scale
