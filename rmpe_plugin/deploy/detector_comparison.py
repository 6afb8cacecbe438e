# SPDX-License-Identifier: Apache-2.0
"""Comparison of an exported detector with the PyTorch model."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmengine.structures import InstanceData

from .letterboxing import MEAN, STD, letterbox
from .rtmlib_graph import RTMLibNormalisation

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Boxes with lower scores are not compared.
MIN_SCORE = 0.05


class DetectionComparison(NamedTuple):
    """Boxes of the PyTorch model and of the ONNX file.

    Attributes:
        expected (int): Number of boxes of the PyTorch model.
        found (int): Number of boxes of the ONNX file.
        unequal (int): Number of images in which these numbers differ.
        error (float): Largest difference of a coordinate, pixels of the input, between
            each box of the PyTorch model and the most similar one of the ONNX file;
            NaN if a box of the ONNX file is NaN.
    """

    expected: int
    found: int
    unequal: int
    error: float


def compare_detections(
    session: 'InferenceSession',
    detector: Callable[[list[np.ndarray]], list[InstanceData]],
    size: tuple[int, int],
    images: Sequence[np.ndarray],
) -> DetectionComparison:
    """Compare the boxes of an ONNX file with those of PyTorch.

    Args:
        session (InferenceSession): An exported :class:`PersonDetectorGraph`.
        detector (PersonDetector): The detector that was exported.
        size (tuple[int, int]): Size of the exported input [w, h], pixels.
        images (Sequence[np.ndarray]): Images, BGR (H, W, 3), uint8.

    Returns:
        DetectionComparison: Counts and the largest error of boxes with a score of at
        least 0.05.
    """
    expected = found = unequal = 0
    error = 0.0
    rtmlib = RTMLibNormalisation(MEAN, STD)
    for image in images:
        # Both see the same pixels: the detector's pipeline need not resize again.
        boxed = letterbox(image, size)
        (people,) = detector([boxed])
        boxes = people.bboxes[people.bbox_scores >= MIN_SCORE]
        inputs = rtmlib.apply_to(boxed.transpose(2, 0, 1)[None])
        (dets,) = session.run(None, dict(input=np.ascontiguousarray(inputs)))[0]
        onnx_boxes = dets[dets[:, 4] >= MIN_SCORE, :4]
        expected, found = expected + len(boxes), found + len(onnx_boxes)
        unequal += len(boxes) != len(onnx_boxes)
        if len(boxes) and len(onnx_boxes):
            distance = np.abs(boxes[:, None] - onnx_boxes).max(axis=-1)
            # unlike max, keeps a NaN
            error = float(np.maximum(error, distance.min(axis=1).max()))
    return DetectionComparison(expected, found, unequal, error)
