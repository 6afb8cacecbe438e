# SPDX-License-Identifier: Apache-2.0
"""Writing of images and videos."""

from pathlib import Path

import cv2
import numpy as np

from .frame import Frame

# Frame rate of videos whose source does not report one, such as a camera.
DEFAULT_FPS = 25.0


class ImageWriter:
    """Writes images to files, and the frames of a video to a video file.

    Args:
        folder (Path): Output folder. Created if it does not exist.

    Attributes:
        written (list[Path]): The files that were written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.written: list[Path] = []
        self._video: cv2.VideoWriter | None = None
        self._video_path: Path | None = None

    def write(self, frame: Frame, image: np.ndarray) -> None:
        """Write an image, or append a frame to a video.

        Args:
            frame (Frame): The frame, which determines the file name.
            image (np.ndarray): The image to write, BGR (H, W, 3), uint8.

        Raises:
            OSError: If the file cannot be written.
        """
        if frame.video:
            height, width = image.shape[:2]
            self._open_video(frame, (width, height)).write(image)
            return
        name = Path(frame.name).name
        path = self.folder / (name if cv2.haveImageWriter(name) else f'{name}.jpg')
        if not cv2.imwrite(str(path), image):
            raise OSError(f'could not write {path}')
        self.written.append(path)

    def _open_video(self, frame: Frame, size: tuple[int, int]) -> cv2.VideoWriter:
        """Return the writer of the frame's video; the previous video is closed."""
        path = self.folder / f'{Path(frame.video).stem}.mp4'
        if self._video is None or path != self._video_path:
            self.close()
            codec = cv2.VideoWriter.fourcc(*'mp4v')
            video = cv2.VideoWriter(str(path), codec, frame.fps or DEFAULT_FPS, size)
            if not video.isOpened():
                raise OSError(f'could not write {path}')
            self._video, self._video_path = video, path
            self.written.append(path)
        return self._video

    def close(self) -> None:
        """Close the video file, if one is open."""
        if self._video is not None:
            self._video.release()
            self._video = None
