# SPDX-License-Identifier: Apache-2.0
"""Person detection with an ONNX file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.deploy import letterbox, letterbox_ratio, open_session
from rmpe_plugin.deploy.detector_formats import FORMATS, recognise_detector
from rmpe_plugin.ops import valid_boxes

from .box_nms import suppress_boxes
from .detector import Detector


class _Prepared(NamedTuple):
    """An input of the network, and the image that it shows."""

    pixels: np.ndarray  # (3, h, w), float32
    ratio: float  # pixels of the input per pixel of the image
    size: tuple[int, int]  # of the image [w, h], pixels


class OnnxPersonDetector(Detector):
    """A person detector in an ONNX file, with onnxruntime.

    Files of ``rmpe export-detector``, YOLOX with and without NMS in the file, as rtmlib
    takes them, and NanoDet are recognised by their inputs and outputs. Classes other
    than the first one, ``person``, are dropped.

    Args:
        path (str | Path): ONNX file.
        device (str, optional): See :func:`rmpe_plugin.deploy.open_session`. Defaults
            to ``None``: CUDA if this onnxruntime supports it.
        score_thr (float): Boxes with a lower score are dropped. Defaults to 0.
        top_k (int): Maximum number of boxes per image; those with the highest scores
            are kept. Defaults to 100.
        file_format (str, optional): Key of
            ``rmpe_plugin.deploy.detector_formats.FORMATS``: ``'rtmdet'`` for RTMDet
            that MMDeploy has exported, whose outputs are those of YOLOX. Defaults to
            ``None``: the recognised format.

    Attributes:
        input_size (tuple[int, int]): Input of the network [w, h], pixels; 640x640 if
            the file leaves it free.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is damaged, or its format is unknown.

    Example:
        >>> from rmpe_plugin.apis import OnnxPersonDetector
        >>> detector = OnnxPersonDetector('yolox_m.onnx')  # doctest: +SKIP
        >>> (people,) = detector([image])  # doctest: +SKIP
        >>> people.bboxes.shape, people.bbox_scores.shape  # doctest: +SKIP
        ((3, 4), (3,))
    """

    def __init__(
        self,
        path: str | Path,
        device: str | None = None,
        score_thr: float = 0.0,
        top_k: int = 100,
        file_format: str | None = None,
    ) -> None:
        self.score_thr, self.top_k = score_thr, top_k
        self.session = open_session(path, device)
        recognised, self.input_size = recognise_detector(self.session, path)
        if file_format not in (None, *FORMATS):
            raise ValueError(f'file_format must be in {[*FORMATS]}, got {file_format}')
        self.format = FORMATS[file_format or recognised]
        (image,) = self.session.get_inputs()
        self._input = image.name
        # A file for a batch of 1 gets one image after another.
        self._one_by_one = image.shape[0] == 1

    def preprocess(self, image: np.ndarray) -> _Prepared:
        """Resize, pad and normalise an image, see :meth:`Detector.preprocess`."""
        ratio = letterbox_ratio(image, self.input_size)
        # Linear interpolation skips pixels of large photographs.
        interpolation = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
        boxed = letterbox(image, self.input_size, self.format.padding, interpolation)
        mean = np.array(self.format.mean, np.float32)
        pixels = (boxed - mean) / np.array(self.format.std, np.float32)
        height, width = image.shape[:2]
        return _Prepared(
            np.ascontiguousarray(pixels.transpose(2, 0, 1)), ratio, (width, height)
        )

    def predict(self, inputs: Sequence[_Prepared]) -> list[InstanceData]:
        """Detect people, sorted by decreasing score, see :meth:`Detector.predict`."""
        if not inputs:
            return []
        batches = [[x] for x in inputs] if self._one_by_one else [inputs]
        return [people for batch in batches for people in self._detect(batch)]

    def _detect(self, batch: Sequence[_Prepared]) -> Iterator[InstanceData]:
        """Run the network once."""
        pixels = np.stack([x.pixels for x in batch])
        outputs = self.session.run(None, {self._input: pixels})
        boxes, scores = self.format.decode(outputs, self.input_size)
        return map(self._select_people, batch, boxes, scores)

    def _select_people(
        self, prepared: _Prepared, boxes: np.ndarray, scores: np.ndarray
    ) -> InstanceData:
        """Map boxes to the image, and keep the best ones that are not suppressed."""
        boxes = boxes / prepared.ratio
        boxes = boxes.clip(0, np.tile(prepared.size, 2)).astype(np.float32)
        kept = (scores >= self.score_thr) & valid_boxes(boxes)
        boxes, scores = boxes[kept], scores[kept]
        best = suppress_boxes(boxes, scores, self.format.iou_threshold)[: self.top_k]
        return InstanceData(bboxes=boxes[best], bbox_scores=scores[best])
