# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import numpy as np
from mmpose.registry import TRANSFORMS

from rmpe_plugin.ops import valid_boxes

from .ground_truth_window import SSTNBBoxCenterScale


@TRANSFORMS.register_module()
class CPNBBoxCenterScale(SSTNBBoxCenterScale):
    """CPN's crop, which pads width and height of the box by different factors.

    Replaces ``GetBBoxCenterScale``. ``TopdownAffine`` then extends the shorter side to
    the aspect ratio of the network input, around the same centre. The default factors
    are those of github.com/chenyilun95/tf-cpn.

    Required Keys:
        - bbox (N, 4), xyxy, pixels

    Added Keys:
        - bbox_center (N, 2), pixels
        - bbox_scale (N, 2), pixels
        - those of :class:`SSTNBBoxCenterScale`

    Args:
        padding (Sequence[float]): Factors of width and height. Defaults to
            (1.2, 1.3).

    Raises:
        ValueError: If a box is empty, inverted or not finite, or if ``padding`` is
            not two positive numbers.
    """

    def __init__(self, padding: Sequence[float] = (1.2, 1.3)) -> None:
        if len(padding) != 2 or min(padding) <= 0:
            raise ValueError(
                f'CPNBBoxCenterScale.padding must be two factors > 0, got {padding}'
            )
        super().__init__(padding=np.asarray(padding, dtype=np.float32))

    def transform(self, results: dict) -> dict:
        """Add the centre and the scale of the crop; see the class."""
        bbox = results['bbox']
        if not valid_boxes(bbox).all():
            raise ValueError(
                f'box {bbox.tolist()} (x1, y1, x2, y2) has no area or is not finite: '
                f'instance {results.get("id")} of {results.get("img_path")}'
            )
        return super().transform(results)
