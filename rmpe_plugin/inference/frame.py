# SPDX-License-Identifier: Apache-2.0
"""One image or frame of a video, and its identity in results."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rmpe_plugin.utils.images import load_image


@dataclass(eq=False)
class Frame:
    """One image, or the reason why there is none.

    Args:
        image_id (int | str): COCO's ``image_id`` in results.
        name (str): Name for messages: the path, for a frame of a video also its index.
        image (np.ndarray, optional): BGR (H, W, 3), uint8. Defaults to ``None``.
        error (str): Why there is no image. Defaults to ``''``.
        video (str): The video that the frame belongs to, ``''`` for an image. Defaults
            to ``''``.
        fps (float): Frame rate of the video in frames per second, 0 if it is unknown.
            Defaults to 0.
        time (float, optional): When the frame is shown, in seconds from the start of
            the video. Defaults to ``None``: unknown.
    """

    image_id: int | str
    name: str
    image: np.ndarray | None = None
    error: str = ''
    video: str = ''
    fps: float = 0.0
    time: float | None = None

    @property
    def sequence(self) -> str:
        """The frames of one video, or the images of one folder, have the same one."""
        return self.video or str(Path(self.name).absolute().parent)


def image_id_of(path: Path) -> int | str:
    """Derive COCO's image id from a file name, as COCO names its files.

    Args:
        path (Path): Image file.

    Returns:
        int | str: ``785`` for ``000000000785.jpg``; the file name itself if its stem is
        not a number.
    """
    return int(path.stem) if path.stem.isdecimal() else path.name


def read_image(path: Path, image_id: int | str) -> Frame:
    """Read an image file.

    Args:
        path (Path): Image file.
        image_id (int | str): COCO's ``image_id`` in results.

    Returns:
        Frame: The image, or the reason why it cannot be read.
    """
    try:
        return Frame(image_id, str(path), load_image(path))
    except OSError as error:
        return Frame(image_id, str(path), error=str(error))
