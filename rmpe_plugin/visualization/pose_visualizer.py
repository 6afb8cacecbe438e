# SPDX-License-Identifier: Apache-2.0
import numpy as np
from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer


@VISUALIZERS.register_module()
class NumpySafePoseVisualizer(PoseLocalVisualizer):
    """MMPose's visualiser, drawing with OpenCV on numpy 2.4 and later too.

    ``PoseLocalVisualizer`` hands its OpenCV backend a circle's radius as an array of
    one number, which numpy >= 2.4 does not turn into an ``int`` any more.

    Args:
        kwargs: As :class:`mmpose.visualization.PoseLocalVisualizer`'s.
    """

    def draw_circles(
        self, center: np.ndarray, radius: np.ndarray | float, *args, **kwargs
    ) -> None:
        """Draw one circle.

        Args:
            center (np.ndarray): Its (x, y), pixels.
            radius (np.ndarray | float): Its radius, pixels; an array holds one number.
            args: As the base class's.
            kwargs: As the base class's.
        """
        if self.backend == 'opencv':
            radius = np.asarray(radius).item()
        super().draw_circles(center, radius, *args, **kwargs)
