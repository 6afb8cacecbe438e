# SPDX-License-Identifier: Apache-2.0
"""Person detection in image files, in one or several processes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path

import torch

from rmpe_plugin.structures import boxes_to_records

from .frame import read_image
from .person_detector import PersonDetector

# Image id and path.
ImageFile = tuple[int | str, Path]


@dataclass(frozen=True)
class DetectorSettings:
    """Arguments of :class:`PersonDetector`, which each process builds for itself.

    Args:
        config (str): As :class:`PersonDetector`'s.
        checkpoint (str): As :class:`PersonDetector`'s.
        score_thr (float): As :class:`PersonDetector`'s. Defaults to 0.
        top_k (int): As :class:`PersonDetector`'s. Defaults to 100.
    """

    config: str
    checkpoint: str
    score_thr: float = 0.0
    top_k: int = 100

    def build(self, device: str | None = None) -> PersonDetector:
        """Build the detector.

        Args:
            device (str, optional): As :class:`PersonDetector`'s. Defaults to ``None``.

        Returns:
            PersonDetector: The detector.
        """
        return PersonDetector(**asdict(self), device=device)


@dataclass
class ImageDetections:
    """Detections in one image.

    Args:
        image_id (int | str): COCO's ``image_id``.
        name (str): Path of the image.
        boxes (list[dict]): COCO results. Empty if there is an error.
        error (str): Why the image was skipped. Defaults to ``''``.
    """

    image_id: int | str
    name: str
    boxes: list[dict] = field(default_factory=list)
    error: str = ''


def detect_batch(
    detector: PersonDetector, images: Sequence[ImageFile]
) -> list[ImageDetections]:
    """Read a batch of images and detect people in them.

    Args:
        detector (PersonDetector): The detector.
        images (Sequence[ImageFile]): Id and path of each image.

    Returns:
        list[ImageDetections]: The detections, or the error, of each image.
    """
    frames = [read_image(path, image_id) for image_id, path in images]
    people = detector.detect_frames(frames)
    return [
        ImageDetections(frame.image_id, frame.name, error=frame.error)
        if frame.error
        else ImageDetections(
            frame.image_id,
            frame.name,
            boxes_to_records(frame.image_id, people[frame.image_id]),
        )
        for frame in frames
    ]


def detect_images(
    images: Sequence[ImageFile],
    settings: DetectorSettings,
    *,
    batch_size: int = 4,
    num_processes: int = 1,
    devices: Sequence[str] = (),
) -> Iterator[ImageDetections]:
    """Detect people in many images, in one or several processes.

    Args:
        images (Sequence[ImageFile]): Id and path of each image.
        settings (DetectorSettings): The detector.
        batch_size (int): Images per batch. Defaults to 4.
        num_processes (int): Number of processes; 1 is this process. They share the CPU
            threads. Defaults to 1.
        devices (Sequence[str]): Devices, assigned to the processes in turn. Defaults to
            ``()``: the device that MMEngine selects.

    Yields:
        ImageDetections: The detections of each image, in order.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        concurrent.futures.process.BrokenProcessPool: If a process is killed.
    """
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    available: list[str | None] = [*devices] if devices else [None]
    if not batches:
        return
    if num_processes == 1:
        detector = settings.build(available[0])
        for batch in batches:
            yield from detect_batch(detector, batch)
        return
    context = get_context('spawn')
    queue = context.Queue()
    for _, device in zip(range(num_processes), cycle(available)):
        queue.put(device)
    threads = max(1, torch.get_num_threads() // num_processes)
    arguments = (settings, queue, threads)
    with ProcessPoolExecutor(num_processes, context, _Worker.start, arguments) as pool:
        for results in pool.map(_Worker.detect, batches):
            yield from results


class _Worker:
    """The detector of one process of a pool.

    It is built with the first batch: the pool passes exceptions of a task on to the
    main process, but not those of an initializer.
    """

    settings: DetectorSettings
    device: str | None
    detector: PersonDetector | None

    @classmethod
    def start(
        cls, settings: DetectorSettings, devices: 'Queue[str | None]', threads: int
    ) -> None:
        """Initialize the process."""
        torch.set_num_threads(threads)
        cls.settings, cls.device, cls.detector = settings, devices.get(), None

    @classmethod
    def detect(cls, images: Sequence[ImageFile]) -> list[ImageDetections]:
        """Detect people in a batch of images."""
        if cls.detector is None:
            cls.detector = cls.settings.build(cls.device)
        return detect_batch(cls.detector, images)
