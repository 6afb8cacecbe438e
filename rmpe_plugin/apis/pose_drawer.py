# SPDX-License-Identifier: Apache-2.0
"""Drawing of poses on images."""

import numpy as np
from mmpose.structures import PoseDataSample

from rmpe_plugin.visualization import NumpySafePoseVisualizer


class PoseDrawer:
    """Draws boxes and poses on images.

    Args:
        dataset_meta (dict): MMPose's description of the keypoints.
        kpt_thr (float): Keypoints with a lower score are not drawn. Defaults to 0.3.
        score_thr (float): People with a lower score are not drawn. Defaults to 0.
    """

    def __init__(
        self, dataset_meta: dict, kpt_thr: float = 0.3, score_thr: float = 0.0
    ) -> None:
        self.kpt_thr, self.score_thr = kpt_thr, score_thr
        self.visualizer = NumpySafePoseVisualizer(bbox_color='green')
        self.visualizer.set_dataset_meta(dataset_meta)

    def draw(self, image: np.ndarray, poses: PoseDataSample) -> np.ndarray:
        """Draw boxes and poses.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8. Not changed.
            poses (PoseDataSample): The poses of the image.

        Returns:
            np.ndarray: The drawing, BGR (H, W, 3), uint8.
        """
        drawn = poses.new()
        people = poses.pred_instances
        drawn.pred_instances = people[people.scores >= self.score_thr]
        # Lines and dots scale with the size of the image.
        width = max(1, round(max(image.shape[:2]) / 400))
        self.visualizer.line_width, self.visualizer.radius = width, width + 1
        drawing = self.visualizer.add_datasample(
            'poses',
            np.ascontiguousarray(image[..., ::-1]),
            drawn,
            draw_gt=False,
            draw_bbox=True,
            kpt_thr=self.kpt_thr,
        )
        return np.ascontiguousarray(drawing[..., ::-1])
