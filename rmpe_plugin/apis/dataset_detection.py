# SPDX-License-Identifier: Apache-2.0
"""Person detection in the images of a dataset, resumable."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rmpe_plugin.structures import read_annotations, require_keys
from rmpe_plugin.utils.files import ResumeJournal, file_digest, journal_path

from .frames import Frames
from .json_list import JsonList
from .parallel_detection import (
    DetectorSettings,
    ImageDetections,
    ImageFile,
    detect_images,
)


def list_images(ann_file: Path | None, folder: Path | None) -> list[ImageFile]:
    """List the images of COCO annotations or of a folder.

    Args:
        ann_file (Path, optional): COCO annotations.
        folder (Path, optional): Folder that the file names in the annotations are
            relative to; ``None`` is the folder of the annotations. Without annotations,
            all images in this folder are listed.

    Returns:
        list[ImageFile]: Id and path of each image.

    Raises:
        FileNotFoundError: If the folder contains no images.
        ValueError: If neither argument is given, or if the annotations are invalid or
            an image has no file name.
    """
    if ann_file is None:
        if folder is None:
            raise ValueError('either ann_file or folder must be given, got neither')
        files = Frames(folder).files
        if not files:
            raise FileNotFoundError(f'{folder} contains no images, only videos')
        return files
    folder = folder or ann_file.parent
    images = read_annotations(ann_file)['images']
    require_keys(ann_file, 'image', images, {'id', 'file_name'})
    return [(image['id'], folder / image['file_name']) for image in images]


class DatasetDetection:
    """Detect people in the images of a dataset and write COCO results.

    The boxes of each image are added to a resume journal, ``out`` with
    ``.journal.jsonl`` appended, from which an interrupted run continues. To be used in
    a ``with`` statement.

    Args:
        images (Sequence[ImageFile]): Id and path of each image.
        settings (DetectorSettings): The detector.
        out (Path): JSON file to write.

    Attributes:
        resumed (int): Number of images whose boxes an earlier run has detected.
        failed (list[ImageDetections]): Images that were skipped, with the reason.

    Raises:
        ValueError: If the resume journal belongs to a run with other settings, other
            images or another checkpoint.

    Example:
        >>> images = list_images(ann_file, folder)  # doctest: +SKIP
        >>> settings = DetectorSettings(config, checkpoint)  # doctest: +SKIP
        >>> with DatasetDetection(images, settings, out) as run:  # doctest: +SKIP
        ...     for detections in run.detect(batch_size=8):
        ...         print(detections.name, len(detections.boxes))
        ...     run.write()
    """

    def __init__(
        self, images: Sequence[ImageFile], settings: DetectorSettings, out: Path
    ) -> None:
        self.images, self.settings, self.out = images, settings, out
        self.journal = ResumeJournal(
            journal_path(out), _journal_settings(images, settings)
        )
        self.failed: list[ImageDetections] = []
        self._boxes: dict[int | str, list[dict]] = {
            record['image_id']: record['boxes'] for record in self.journal.records
        }
        self.resumed = len(self.images) - len(self.pending)

    @property
    def pending(self) -> list[ImageFile]:
        """Images without detections."""
        return [image for image in self.images if image[0] not in self._boxes]

    def detect(
        self,
        batch_size: int = 4,
        num_processes: int = 1,
        devices: Sequence[str] = (),
    ) -> Iterator[ImageDetections]:
        """Detect people in the pending images and add their boxes to the journal.

        Args:
            batch_size (int): As :func:`detect_images`'s.
            num_processes (int): As :func:`detect_images`'s.
            devices (Sequence[str]): As :func:`detect_images`'s.

        Yields:
            ImageDetections: The detections of each pending image, in order.
        """
        for result in detect_images(
            self.pending,
            self.settings,
            batch_size=batch_size,
            num_processes=num_processes,
            devices=devices,
        ):
            if result.error:
                self.failed.append(result)
            else:
                self._boxes[result.image_id] = result.boxes
                self.journal.append(dict(image_id=result.image_id, boxes=result.boxes))
            yield result

    def write(self) -> int:
        """Write the boxes of all images, and delete the journal.

        Returns:
            int: Number of boxes.
        """
        number = 0
        with JsonList(self.out) as results:
            for image_id, _ in self.images:
                boxes = self._boxes.get(image_id, [])
                results.extend(boxes)
                number += len(boxes)
        self.journal.close(remove=True)
        return number

    def __enter__(self) -> 'DatasetDetection':
        return self

    def __exit__(self, *error: object) -> None:
        self.journal.close()


def _journal_settings(
    images: Sequence[ImageFile], settings: DetectorSettings
) -> dict[str, str]:
    """What the boxes depend on, with the content of a checkpoint file."""
    found = {name: str(value) for name, value in asdict(settings).items()}
    names = [(image_id, str(path)) for image_id, path in images]
    found['images'] = hashlib.sha256(repr(names).encode()).hexdigest()
    if Path(settings.checkpoint).is_file():
        found['sha256'] = file_digest(settings.checkpoint)
    return found
