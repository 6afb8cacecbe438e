# SPDX-License-Identifier: Apache-2.0
import numpy as np
from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer


@VISUALIZERS.register_module()
class NumpySafePoseVisualizer(PoseLocalVisualizer):
    """Pose visualizer whose OpenCV backend works with numpy 2.4 and later.

    ``PoseLocalVisualizer`` passes the radius of a circle to OpenCV as an array with one
    element, which numpy >= 2.4 does not convert to an ``int``.

    Args:
        kwargs: As :class:`mmpose.visualization.PoseLocalVisualizer`'s.
    """

    def draw_circles(
        self, center: np.ndarray, radius: np.ndarray | float, *args, **kwargs
    ) -> None:
        """Draw one circle.

        Args:
            center (np.ndarray): Centre (x, y), pixels.
            radius (np.ndarray | float): Radius, pixels; an array has one element.
            args: As the base class's.
            kwargs: As the base class's.
        """
        if self.backend == 'opencv':
            radius = np.asarray(radius).item()
        super().draw_circles(center, radius, *args, **kwargs)
