# SPDX-License-Identifier: Apache-2.0
import os

from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

JPEG_START, JPEG_END = b'\xff\xd8', b'\xff\xd9'


@TRANSFORMS.register_module()
class LoadWholeImage(LoadImage):
    """MMPose's ``LoadImage``, which raises on truncated images.

    OpenCV fills the missing part of a truncated file with grey. Pillow raises but is
    slower, so it decodes only the files that do not end with the end marker of a JPEG.
    The two bytes of this marker do not occur within the compressed data of a JPEG.

    Args:
        kwargs: Arguments of :class:`mmpose.datasets.LoadImage` except
            ``imdecode_backend``, which is chosen for each file. Files must be local.

    Raises:
        OSError: If a file is missing or truncated, with its path.
        AssertionError: Raised by mmcv, with the path, if the file is truncated at the
            end of an embedded preview, so that OpenCV finds no image.
    """

    def transform(self, results: dict) -> dict:
        """Load ``img_path`` unless ``img`` exists; see the class."""
        if 'img' not in results:
            complete = _is_complete_jpeg(results['img_path'])
            self.imdecode_backend = 'cv2' if complete else 'pillow'
        return super().transform(results)


def _is_complete_jpeg(path: str) -> bool:
    """Whether a file has the start and end markers of a JPEG."""
    with open(path, 'rb') as file:
        start = file.read(2)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2))
        return start == JPEG_START and file.read() == JPEG_END
