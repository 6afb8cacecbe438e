# SPDX-License-Identifier: Apache-2.0
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomChannelGain(BaseTransform):
    """Multiply each colour channel of an image by a random factor.

    pytorch-cpn does so in training (github.com/GengDavid/pytorch-cpn). Values are
    limited to 0 to 255.

    Required Keys:
        - img (np.ndarray): (H, W, 3), uint8

    Modified Keys:
        - img

    Args:
        low (float): Smallest factor. Defaults to 0.8.
        high (float): Largest factor. Defaults to 1.2.

    Raises:
        ValueError: If not 0 <= low <= high.
    """

    def __init__(self, low: float = 0.8, high: float = 1.2) -> None:
        if not 0 <= low <= high:
            raise ValueError(
                'RandomChannelGain.low and high must be 0 <= low <= high, got '
                f'{low} and {high}'
            )
        self.low, self.high = low, high

    def transform(self, results: dict) -> dict:
        """Change ``img``; see the class."""
        gain = np.random.uniform(self.low, self.high, 3)  # noqa: NPY002
        image = np.clip(np.round(results['img'] * gain), 0, 255)
        results['img'] = image.astype(np.uint8)
        return results
