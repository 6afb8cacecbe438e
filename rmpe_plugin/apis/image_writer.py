# SPDX-License-Identifier: Apache-2.0
"""Writing of images and videos."""

from pathlib import Path

import cv2
import numpy as np

from rmpe_plugin.inference import Frame

# Frame rate of videos whose source does not report one, such as a camera.
DEFAULT_FPS = 25.0
# Codecs that OpenCV's packages can write, by container. Browsers show WebM only.
CODECS = {'.mp4': 'mp4v', '.webm': 'VP80'}


class ImageWriter:
    """Writes images to files, and the frames of a video to a video file.

    An image whose format OpenCV cannot write becomes a JPEG with ``.jpg`` appended to
    its name. Videos have a constant frame rate: a frame is repeated until the time of
    the next one. An odd width or height is enlarged by repeating the last column or
    row, because video codecs need even sizes.

    Args:
        folder (Path): Output folder. Created if it does not exist.
        container (str): Ending of videos, a key of :data:`CODECS`. Defaults to
            ``'.mp4'``.

    Attributes:
        written (list[Path]): The files that were written.
    """

    def __init__(self, folder: Path, container: str = '.mp4') -> None:
        self.folder, self.container = folder, container
        folder.mkdir(parents=True, exist_ok=True)
        self.written: list[Path] = []
        self._video: _VideoFile | None = None

    def write(self, frame: Frame, image: np.ndarray) -> None:
        """Write an image, or append a frame to a video.

        Args:
            frame (Frame): The frame, which determines the file name.
            image (np.ndarray): The image to write, BGR (H, W, 3), uint8.

        Raises:
            OSError: If the file cannot be written.
        """
        if frame.video:
            self._open_video(frame, image).append(image, frame.time)
            return
        name = Path(frame.name).name
        for path in (self.folder / name, self.folder / f'{name}.jpg'):
            if _write_image(path, image):
                self.written.append(path)
                return
        raise OSError(f'could not write {path}')

    def _open_video(self, frame: Frame, image: np.ndarray) -> '_VideoFile':
        """Return the file of the frame's video; the previous video is closed."""
        path = self.folder / f'{Path(frame.video).stem}{self.container}'
        if self._video is None or path != self._video.path:
            self.close()
            self._video = _VideoFile(path, frame.fps or DEFAULT_FPS, image.shape)
            self.written.append(path)
        return self._video

    def close(self) -> None:
        """Close the video file, if one is open."""
        if self._video is not None:
            self._video.close()
            self._video = None


class _VideoFile:
    """A video with a constant frame rate, from frames with times."""

    def __init__(self, path: Path, fps: float, shape: tuple[int, ...]) -> None:
        self.path, self._fps = path, fps
        height, width = (size + size % 2 for size in shape[:2])
        self._size = width, height
        codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
        self._writer = cv2.VideoWriter(str(path), codec, fps, self._size)
        if not self._writer.isOpened():
            raise OSError(f'could not write {path}')
        self._number, self._start = 0, 0.0
        self._previous: np.ndarray | None = None

    def append(self, image: np.ndarray, time: float | None) -> None:
        """Write a frame that is shown from a time on, in seconds."""
        if self._previous is None:
            self._start = time or 0.0
        elif time is not None:
            due = round((time - self._start) * self._fps)
            for _ in range(self._number, due):
                self._write(self._previous)
        self._write(image)
        self._previous = image

    def _write(self, image: np.ndarray) -> None:
        """Write one frame; one of another size is scaled to that of the first."""
        width, height = self._size
        bottom, right = height - image.shape[0], width - image.shape[1]
        if {bottom, right} <= {0, 1}:
            image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        else:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(image)
        self._number += 1

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()


def _write_image(path: Path, image: np.ndarray) -> bool:
    """Write an image; ``False`` if OpenCV cannot, also for its content or size."""
    try:
        return cv2.haveImageWriter(path.name) and cv2.imwrite(str(path), image)
    except cv2.error:
        return False
