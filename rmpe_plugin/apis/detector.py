# SPDX-License-Identifier: Apache-2.0
"""The interface of person detectors, and detection in a stream of frames."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any, Protocol

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.inference import Frame
from rmpe_plugin.utils.read_ahead import read_ahead

from .boxes import empty_boxes

# Threads that read images. OpenCV and Pillow release the interpreter lock.
READERS = 4


class Detector(Protocol):
    """Interface of the person detectors: images in, boxes out.

    A subclass defines the two steps. The first one runs in threads, one batch ahead of
    the second one.

    Example:
        >>> (people,) = detector([image])  # doctest: +SKIP
        >>> people.bboxes.shape, people.bbox_scores.shape  # doctest: +SKIP
        ((3, 4), (3,))
    """

    def preprocess(self, image: np.ndarray) -> Any:
        """Prepare one image. It can run in several threads.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8.

        Returns:
            Any: An input of :meth:`predict`.

        Raises:
            ValueError: If the image cannot be prepared.
        """
        ...

    def predict(self, inputs: list) -> list[InstanceData]:
        """Detect people in a batch of prepared images.

        Args:
            inputs (list): The output of :meth:`preprocess` for each image. It can be
                empty.

        Returns:
            list[InstanceData]: For each image ``bboxes`` (N, 4), xyxy in pixels of the
            image, and ``bbox_scores`` (N,).
        """
        ...

    def __call__(self, images: Sequence[np.ndarray]) -> list[InstanceData]:
        """Detect people in a batch of images.

        Args:
            images (Sequence[np.ndarray]): BGR (H, W, 3), uint8.

        Returns:
            list[InstanceData]: See :meth:`predict`.

        Raises:
            ValueError: If an image cannot be prepared.
        """
        return self.predict([self.preprocess(image) for image in images])


class WholeImageDetector(Detector):
    """One box of the size of the image, with a score of 1."""

    def preprocess(self, image: np.ndarray) -> tuple[int, int]:
        """Size of the image, [w, h] in pixels."""
        height, width = image.shape[:2]
        return width, height

    def predict(self, inputs: list[tuple[int, int]]) -> list[InstanceData]:
        """One box for each size."""
        score = np.ones(1, np.float32)
        return [
            InstanceData(
                bboxes=np.array([[0, 0, *size]], np.float32), bbox_scores=score
            )
            for size in inputs
        ]


def detect_frames(
    detector: Detector | None, reads: Iterable[Callable[[], Frame]], batch_size: int
) -> Generator[tuple[list[Frame], list[InstanceData]], None, None]:
    """Read frames and detect their people, in batches.

    Frames are read and prepared for the detector in threads, while the networks process
    the batch before.

    Args:
        detector (Detector, optional): The detector; ``None`` detects no people.
        reads (Iterable[Callable]): Functions that read one frame, see
            :meth:`Frames.reads`.
        batch_size (int): Frames per batch.

    Yields:
        tuple[list[Frame], list[InstanceData]]: The frames of a batch, and the people of
        each. A frame that cannot be read, or not be prepared for the detector, has an
        ``error``, no image and no people.
    """
    tasks = (partial(_load, detector, read) for read in reads)
    with closing(read_ahead(tasks, batch_size, READERS)) as loaded:
        while batch := list(islice(loaded, batch_size)):
            inputs = [x for _, x in batch if x is not None]
            found = iter([] if detector is None else detector.predict(inputs))
            people = [empty_boxes() if x is None else next(found) for _, x in batch]
            yield [frame for frame, _ in batch], people


def _load(detector: Detector | None, read: Callable[[], Frame]) -> tuple[Frame, Any]:
    """Read a frame; ``None`` beside it if there is nothing to detect in."""
    frame = read()
    if detector is None or frame.image is None:
        return frame, None
    try:
        return frame, detector.preprocess(frame.image)
    except ValueError as error:
        frame.image, frame.error = None, str(error)
        return frame, None
