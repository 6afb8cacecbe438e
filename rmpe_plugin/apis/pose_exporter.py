# SPDX-License-Identifier: Apache-2.0
"""Export of predicted poses: JSON, annotated images and videos, and a window."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import cv2
import numpy as np

from rmpe_plugin.inference import Frame
from rmpe_plugin.structures import poses_to_records

from .alphapose import alphapose_records
from .image_writer import ImageWriter
from .json_list import JsonList
from .pose_drawer import PoseDrawer
from .result_writer import ResultWriter
from .rmpe_inferencer import PoseResult


class PoseExporter:
    """Writes poses as COCO results, as AlphaPose results and as drawings.

    The files are ``results.json``, ``alphapose-results.json``, and the annotated images
    and videos. To be used in a ``with`` statement; after an error or an interrupt the
    JSON files contain what was added until then.

    Args:
        folder (Path): Output folder. Created if it does not exist.
        drawer (PoseDrawer): Draws the poses.
        save_images (bool): Whether to write annotated images and videos. Defaults to
            ``True``.
        show (bool): Whether to show the drawings in a window. Defaults to ``False``.
        writer (ResultWriter, optional): Writes results in another format, too.
            Defaults to ``None``.

    Attributes:
        failed (list[Frame]): Frames that were skipped, and those whose drawing or
            result in another format could not be written, with the reason.
        frames (int): Number of exported frames.
        people (int): Number of exported people.
    """

    def __init__(
        self,
        folder: Path,
        drawer: PoseDrawer,
        save_images: bool = True,
        show: bool = False,
        writer: ResultWriter | None = None,
    ) -> None:
        self.writer = writer
        self.drawer, self.save_images, self.show = drawer, save_images, show
        self.failed: list[Frame] = []
        self.frames = self.people = 0
        self._images = ImageWriter(folder)
        self._coco = JsonList(folder / 'results.json')
        self._alphapose = JsonList(folder / 'alphapose-results.json')

    @property
    def written(self) -> list[Path]:
        """The files that were written, and the folder of results in another format."""
        folders = [self.writer.folder] if self.writer else []
        return [self._coco.path, self._alphapose.path, *folders, *self._images.written]

    def add(self, result: PoseResult) -> bool:
        """Export the poses of a frame.

        Args:
            result (PoseResult): The frame and its poses.

        Returns:
            bool: Whether to continue; ``False`` if q was pressed in the window.

        Raises:
            OSError: If a JSON file cannot be written.
        """
        frame, poses = result
        if frame.image is None:
            self.failed.append(frame)
            if self.writer:
                self._write(frame, self.writer.skip)
            return True
        self.frames += 1
        self.people += len(poses.pred_instances)
        self._coco.extend(poses_to_records(frame.image_id, poses.pred_instances))
        self._alphapose.extend(alphapose_records(frame, poses))
        if self.writer:
            self._write(frame, self.writer.write, poses)
        if not self.save_images and not self.show:
            return True
        drawing = self.drawer.draw(frame.image, poses)
        if self.save_images:
            self._write(frame, self._images.write, drawing)
        return not (self.show and show_image(drawing))

    def _write(self, frame: Frame, write: Callable, *content: object) -> None:
        """Write a file of a frame; the other ones are written if it fails."""
        try:
            write(frame, *content)
        except OSError as error:
            name = frame.video or frame.name
            if name not in {failed.name for failed in self.failed}:
                self.failed.append(Frame(frame.image_id, name, error=str(error)))

    def __enter__(self) -> 'PoseExporter':
        with ExitStack() as stack:
            stack.enter_context(closing(self._images))
            if self.writer:
                stack.enter_context(closing(self.writer))
            stack.enter_context(self._coco)
            stack.enter_context(self._alphapose)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def show_image(image: np.ndarray) -> bool:
    """Show an image in the window ``poses``.

    Args:
        image (np.ndarray): BGR (H, W, 3), uint8.

    Returns:
        bool: Whether q was pressed.
    """
    cv2.imshow('poses', image)
    return cv2.waitKey(1) & 0xFF == ord('q')
