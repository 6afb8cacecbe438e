# SPDX-License-Identifier: Apache-2.0
import numpy as np
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from rmpe_plugin.utils.images import load_image


@TRANSFORMS.register_module()
class LoadIntactImage(LoadImage):
    """MMPose's ``LoadImage`` with the reader of inference, which raises on damage.

    OpenCV fills the missing part of a truncated file with grey, and rotates fewer
    formats than :func:`rmpe_plugin.utils.images.load_image`.

    Args:
        to_float32 (bool): Whether to convert the image to float32. Defaults to
            ``False``.

    Raises:
        FileNotFoundError: If a file is missing.
        OSError: If a file is truncated or is not an image, with its path.
    """

    def __init__(self, to_float32: bool = False) -> None:
        super().__init__(to_float32=to_float32)

    def transform(self, results: dict) -> dict:
        """Load ``img_path`` unless ``img`` exists; see the class."""
        if 'img' not in results:
            try:
                image = load_image(results['img_path'])
            except FileNotFoundError:
                raise
            except OSError as error:
                raise OSError(f'{results["img_path"]} {error}') from error
            results['img'] = image.astype(np.float32) if self.to_float32 else image
        return super().transform(results)
