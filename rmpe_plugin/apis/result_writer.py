# SPDX-License-Identifier: Apache-2.0
"""The interface of writers of results in further formats."""

from abc import ABC, abstractmethod
from pathlib import Path

from mmpose.structures import PoseDataSample

from rmpe_plugin.inference import Frame


class ResultWriter(ABC):
    """Writes the poses of frames to files in a folder.

    Args:
        folder (Path): Output folder. Created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def write(self, frame: Frame, poses: PoseDataSample) -> None:
        """Write the poses of a frame.

        Args:
            frame (Frame): The frame.
            poses (PoseDataSample): Its poses.

        Raises:
            OSError: If a file cannot be written, or is that of another frame or video.
        """

    def skip(self, frame: Frame) -> None:  # noqa: B027, only videos count frames
        """Leave out a frame that cannot be read.

        Args:
            frame (Frame): The frame, without an image.

        Raises:
            OSError: If a file cannot be written.
        """

    def close(self) -> None:  # noqa: B027, most writers keep no file open
        """Finish the last file."""
