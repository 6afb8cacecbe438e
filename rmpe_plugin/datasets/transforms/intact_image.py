# SPDX-License-Identifier: Apache-2.0
import os

from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS
from PIL import Image

JPEG_START, JPEG_END = b'\xff\xd8', b'\xff\xd9'


@TRANSFORMS.register_module()
class LoadIntactImage(LoadImage):
    """MMPose's ``LoadImage``, which raises on truncated images.

    OpenCV fills the missing part of a truncated file with grey, Pillow raises. Files
    that do not end with the end marker of a JPEG are therefore read by Pillow first.
    The two bytes of this marker do not occur within the compressed data of a JPEG.

    Args:
        kwargs: Arguments of :class:`mmpose.datasets.LoadImage`. Files must be local.

    Raises:
        OSError: If a file is missing or truncated, with its path.
        AssertionError: Raised by mmcv, with the path, if the file is truncated at the
            end of an embedded preview, so that OpenCV finds no image.
    """

    def transform(self, results: dict) -> dict:
        """Load ``img_path`` unless ``img`` exists; see the class."""
        if 'img' not in results and not _is_complete_jpeg(results['img_path']):
            _check_complete(results['img_path'])
        return super().transform(results)


def _check_complete(path: str) -> None:
    """Raise an OSError if Pillow cannot decode the whole file."""
    try:
        with Image.open(path) as image:
            image.load()
    # Pillow raises a SyntaxError for a broken chunk of a PNG.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'{path} is truncated or not an image: {error}') from error


def _is_complete_jpeg(path: str) -> bool:
    """Whether a file has the start and end markers of a JPEG."""
    with open(path, 'rb') as file:
        start = file.read(2)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2))
        return start == JPEG_START and file.read() == JPEG_END
