# SPDX-License-Identifier: Apache-2.0
"""Poses of all people in an image from two ONNX files, without PyTorch and OpenMMLab.

The detector is NanoDet, the pose estimator a file of ``rmpe export``.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

STRIDES = (8, 16, 32)
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
IOU_THRESHOLD = 0.6
MAX_PEOPLE = 50  # bounds memory


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: README.md says how to write it')
    return onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])


class PersonDetector:
    """NanoDet: the boxes of people in an image.

    Args:
        path (Path): ONNX file, ``nanodet_416_fp16.onnx`` of ``rmpe_plugin``.

    Raises:
        FileNotFoundError: If the file does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.session = _open_session(path)

    def __call__(self, image: np.ndarray, score_thr: float) -> np.ndarray:
        """Detect people.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8.
            score_thr (float): Boxes with a lower score are dropped.

        Returns:
            np.ndarray: Boxes (N, 4), xyxy in pixels, the most confident one first, at
            most 50.
        """
        (crop,) = self.session.get_inputs()
        *_, height, width = crop.shape
        ratio = min(height / image.shape[0], width / image.shape[1])
        size = [max(1, int(n * ratio)) for n in image.shape[1::-1]]
        pixels = np.zeros((height, width, 3), np.float32)
        pixels[: size[1], : size[0]] = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA
        )
        pixels = ((pixels - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)
        outputs = self.session.run(None, {crop.name: pixels[None]})
        levels = zip(STRIDES, outputs[:3], outputs[3:], strict=True)
        boxes = np.vstack([_boxes(bins[0], s, width) for s, _, bins in levels]) / ratio
        scores = np.concatenate(outputs[:3], axis=1)[0, :, 0]  # the class person
        boxes = boxes.clip(0, [*image.shape[1::-1]] * 2)
        sides = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
        kept = cv2.dnn.NMSBoxes(sides, scores, score_thr, IOU_THRESHOLD)
        # An array, because OpenCV returns an empty tuple, which would select all boxes.
        return boxes[np.array(kept, int)[:MAX_PEOPLE]]


def _boxes(bins: np.ndarray, stride: int, width: int) -> np.ndarray:
    """Boxes (N, 4) of a grid: means of the distances from the centres of its cells."""
    weights = np.exp(bins.reshape(len(bins), 4, -1))
    means = weights @ np.arange(weights.shape[-1]) / weights.sum(axis=-1)
    rows, columns = np.divmod(np.arange(len(bins)), width // stride)
    centres = np.column_stack((columns, rows)) + 0.5
    return np.hstack((centres - means[:, :2], centres + means[:, 2:])) * stride


class PoseEstimator:
    """The keypoints of people in boxes.

    Args:
        path (Path): ONNX file of ``rmpe export`` with its default options.

    Attributes:
        meta (dict): The metadata of the file, see ``docs/export.md``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is another ONNX file.
    """

    def __init__(self, path: Path) -> None:
        self.session = _open_session(path)
        properties = self.session.get_modelmeta().custom_metadata_map
        if 'crop_padding' not in properties:
            raise ValueError(f'{path} is not a pose estimator of rmpe export')
        self.meta = {name: json.loads(value) for name, value in properties.items()}

    def __call__(
        self, image: np.ndarray, boxes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Estimate poses.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8.
            boxes (np.ndarray): Boxes (N, 4), xyxy in pixels, N at least 1.

        Returns:
            tuple[np.ndarray, np.ndarray]: Keypoints (N, K, 2) in pixels, and scores (N,
            K) in [0, 1].
        """
        size = np.array(self.meta['input_size'])
        enlarged = (boxes[:, 2:] - boxes[:, :2]) * self.meta['crop_padding']
        extent = (enlarged / size).max(axis=1, keepdims=True) * size
        corners = (boxes[:, :2] + boxes[:, 2:] - extent) / 2
        scales = extent / (size - self.meta['crop_udp'])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crops = [
            cv2.warpAffine(
                image, np.column_stack((np.diag(scale), corner)), size, flags=flags
            )
            for scale, corner in zip(scales, corners, strict=True)
        ]
        feeds = {'crops': np.stack(crops).transpose(0, 3, 1, 2)}
        keypoints, scores = self.session.run(None, feeds)
        return keypoints * scales[:, None] + corners[:, None], scores

    def draw(
        self, image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, thr: float
    ) -> np.ndarray:
        """Draw the keypoints whose score is at least ``thr``, and their links."""
        drawing, width = image.copy(), max(1, round(max(image.shape[:2]) / 400))
        for pose, shown in zip(
            keypoints.round().astype(int), scores >= thr, strict=True
        ):
            self._draw_pose(drawing, pose.tolist(), shown, width)
        return drawing

    def _draw_pose(
        self, image: np.ndarray, pose: list, shown: np.ndarray, width: int
    ) -> None:
        """Draw the keypoints of one person that are shown, and their links."""
        links = self.meta['skeleton'], self.meta['skeleton_colors']
        for (i, j), color in zip(*links, strict=True):
            if shown[i] and shown[j]:
                cv2.line(image, pose[i], pose[j], color[::-1], width, cv2.LINE_AA)
        for i, color in enumerate(self.meta['keypoint_colors']):
            if shown[i]:
                cv2.circle(image, pose[i], width + 1, color[::-1], -1, cv2.LINE_AA)
