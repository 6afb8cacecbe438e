# SPDX-License-Identifier: Apache-2.0
"""Person detection in the images of a dataset, resumable."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path

import torch
from mmengine.logging import print_log

from rmpe_plugin.inference import Frames, read_image
from rmpe_plugin.structures import boxes_to_records, read_images, require_keys
from rmpe_plugin.utils.files import ResumeJournal, file_digest, journal_path

from .detector import Detector, detect_frames
from .detector_loading import load_detector
from .json_list import JsonList

# Image id and path.
ImageFile = tuple[int | str, Path]


@dataclass(frozen=True)
class DetectorSettings:
    """Arguments of :func:`load_detector`, which each process calls for itself.

    Args:
        config (str): As in :func:`load_detector`.
        checkpoint (str, optional): As in :func:`load_detector`. Defaults to ``None``.
        score_thr (float): As in :func:`load_detector`. Defaults to 0.
        top_k (int): As in :func:`load_detector`. Defaults to 100.
    """

    config: str
    checkpoint: str | None = None
    score_thr: float = 0.0
    top_k: int = 100


@dataclass
class ImageDetections:
    """Detections in one image.

    Args:
        image_id (int | str): COCO's ``image_id``.
        name (str): Path of the image.
        boxes (list[dict]): COCO results. Empty if there is an error.
        error (str): Why the image was skipped. Defaults to ``''``.
        resumed (bool): Whether an earlier run has detected the boxes. Defaults to
            ``False``.
    """

    image_id: int | str
    name: str
    boxes: list[dict]
    error: str = ''
    resumed: bool = False


def list_images(ann_file: Path | None, folder: Path | None) -> list[ImageFile]:
    """List the images of COCO annotations or of a folder.

    Args:
        ann_file (Path, optional): COCO annotations, or only the images.
        folder (Path, optional): Folder that the file names in the annotations are
            relative to; ``None`` is the folder of the annotations. Without annotations,
            all images in this folder are listed, and videos are logged.

    Returns:
        list[ImageFile]: Id and path of each image.

    Raises:
        FileNotFoundError: If the folder contains no images.
        ValueError: If neither argument is given, if a list names a camera or an
            address, or if the annotations are invalid or an image has no file name.
    """
    if ann_file is None:
        if folder is None:
            raise ValueError('either ann_file or folder must be given, got neither')
        frames = Frames(folder)
        if any(source.path is None for source in frames.sources):
            raise ValueError(f'{folder} must name files only, got a camera or address')
        if not frames.files:
            raise FileNotFoundError(f'{folder} contains no images, only videos')
        videos = {path.name for path in frames.paths} - {
            p.name for _, p in frames.files
        }
        if videos:
            message = f'{folder}: videos are left out: {", ".join(sorted(videos))}'
            print_log(message, logger='current', level=logging.WARNING)
        return frames.files
    folder = folder or ann_file.parent
    images = read_images(ann_file)['images']
    require_keys(ann_file, 'image', images, {'id', 'file_name'})
    return [(image['id'], folder / image['file_name']) for image in images]


def detect_dataset(
    images: Sequence[ImageFile],
    settings: DetectorSettings,
    out: Path,
    *,
    batch_size: int = 4,
    num_processes: int = 1,
    devices: Sequence[str] = (),
) -> Iterator[ImageDetections]:
    """Detect people in the images of a dataset and write COCO results.

    The boxes of each image are added to a resume journal, ``out`` with
    ``.journal.jsonl`` appended, from which an interrupted run continues. The end of the
    iteration writes ``out`` and deletes the journal.

    Args:
        images (Sequence[ImageFile]): Id and path of each image.
        settings (DetectorSettings): The detector.
        out (Path): JSON file to write.
        batch_size (int): Images per batch. Defaults to 4.
        num_processes (int): Number of processes; 1 is this process. They share the CPU
            threads. Defaults to 1.
        devices (Sequence[str]): Devices, assigned to the processes in turn. Defaults to
            ``()``: the device that MMEngine selects.

    Yields:
        ImageDetections: The detections of each image: first those of an earlier run,
        then the others in order.

    Raises:
        ValueError: If the resume journal belongs to a run with other settings, other
            images or another checkpoint.
        OSError: See :func:`load_detector`.
        concurrent.futures.process.BrokenProcessPool: If a process is killed.

    Example:
        >>> images = list_images(ann_file, folder)  # doctest: +SKIP
        >>> settings = DetectorSettings(config, checkpoint)  # doctest: +SKIP
        >>> for image in detect_dataset(images, settings, out):  # doctest: +SKIP
        ...     print(image.name, len(image.boxes), image.error)
    """
    journal = ResumeJournal(journal_path(out), _journal_settings(images, settings))
    with closing(journal):
        boxes = {record['image_id']: record['boxes'] for record in journal.records}
        finished = [image for image in images if image[0] in boxes]
        pending = [image for image in images if image[0] not in boxes]
        if finished:
            message = f'{len(finished)} of {len(images)} images are in {journal.path}'
            print_log(message, logger='current')
        for image_id, path in finished:
            yield ImageDetections(image_id, str(path), boxes[image_id], resumed=True)

        if num_processes > 1:
            detected = _detect_in_processes(
                pending, settings, batch_size, num_processes, devices
            )
        else:
            device = next(iter(devices), None)
            detector = load_detector(**asdict(settings), device=device)
            detected = _detect(detector, pending, batch_size)
        for image in detected:
            if not image.error:
                boxes[image.image_id] = image.boxes
                journal.append(dict(image_id=image.image_id, boxes=image.boxes))
            yield image

        with JsonList(out) as results:
            for image_id, _ in images:
                results.extend(boxes.get(image_id, []))
        journal.close(remove=True)


def _detect(
    detector: Detector, images: Sequence[ImageFile], batch_size: int
) -> Iterator[ImageDetections]:
    """Read images and detect people in them."""
    reads = (partial(read_image, path, image_id) for image_id, path in images)
    for frames, people in detect_frames(detector, reads, batch_size):
        for frame, boxes in zip(frames, people, strict=True):
            records = boxes_to_records(frame.image_id, boxes)
            yield ImageDetections(frame.image_id, frame.name, records, frame.error)


def _detect_in_processes(
    images: Sequence[ImageFile],
    settings: DetectorSettings,
    batch_size: int,
    num_processes: int,
    devices: Sequence[str],
) -> Iterator[ImageDetections]:
    """Give the batches to processes in turn; each one keeps its device."""
    context = get_context('spawn')
    pools = [ProcessPoolExecutor(1, context) for _ in range(num_processes)]
    workers = cycle([*zip(pools, cycle(devices or [None]))])
    threads = max(1, torch.get_num_threads() // num_processes)
    with ExitStack() as stack:
        for pool in pools:
            stack.callback(pool.shutdown, cancel_futures=True)
        starts = range(0, len(images), batch_size)
        futures = [
            pool.submit(_work, settings, device, threads, images[i : i + batch_size])
            for i, (pool, device) in zip(starts, workers, strict=False)
        ]
        for future in futures:
            yield from future.result()


def _work(
    settings: DetectorSettings,
    device: str | None,
    threads: int,
    images: Sequence[ImageFile],
) -> list[ImageDetections]:
    """Detect people in a batch, in a process of a pool."""
    torch.set_num_threads(threads)
    return [*_detect(_build(settings, device), images, len(images))]


@cache
def _build(settings: DetectorSettings, device: str | None) -> Detector:
    """Build the detector once, with the first batch, which can raise its errors."""
    return load_detector(**asdict(settings), device=device)


def _journal_settings(
    images: Sequence[ImageFile], settings: DetectorSettings
) -> dict[str, str]:
    """What the boxes depend on, with the content of the file of weights."""
    found = {name: str(value) for name, value in asdict(settings).items()}
    names = [(image_id, str(path)) for image_id, path in images]
    found['images'] = hashlib.sha256(repr(names).encode()).hexdigest()
    weights = Path(settings.checkpoint or settings.config)
    if weights.is_file():
        found['sha256'] = file_digest(weights)
    return found
