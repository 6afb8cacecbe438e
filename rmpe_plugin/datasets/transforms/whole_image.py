# SPDX-License-Identifier: Apache-2.0
import os

from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

JPEG_START, JPEG_END = b'\xff\xd8', b'\xff\xd9'


@TRANSFORMS.register_module()
class LoadWholeImage(LoadImage):
    """MMPose's ``LoadImage``, which refuses images that are cut off.

    OpenCV fills with grey what such a file lacks. Pillow refuses it but is slower, so
    it decodes only what does not end as a whole JPEG does: the two bytes of the end do
    not occur within a JPEG's compressed data.

    Args:
        kwargs: As :class:`mmpose.datasets.LoadImage`'s but ``imdecode_backend``, which
            each file decides; files are local.

    Raises:
        OSError: If a file is missing or cut off, with its path.
        AssertionError: Of mmcv, with its path, if it is cut off where a preview within
            it ends, so that OpenCV finds no picture.
    """

    def transform(self, results: dict) -> dict:
        """Load ``img_path`` unless there is ``img``; see the class."""
        if 'img' not in results:
            whole = _is_whole_jpeg(results['img_path'])
            self.imdecode_backend = 'cv2' if whole else 'pillow'
        return super().transform(results)


def _is_whole_jpeg(path: str) -> bool:
    """Whether a file starts and ends as a JPEG does."""
    with open(path, 'rb') as file:
        start = file.read(2)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2))
        return start == JPEG_START and file.read() == JPEG_END
