# SPDX-License-Identifier: Apache-2.0
"""Drawing of poses on images."""

from colorsys import hsv_to_rgb

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.tracking import NOT_TRACKED
from rmpe_plugin.visualization import NumpySafePoseVisualizer

COLOR_BY = ('keypoint', 'person', 'id')
# Multiples of the golden ratio are hues that differ from all before.
_HUE_STEP = 0.618034
_GREY = (160, 160, 160)


class PoseDrawer:
    """Draws boxes and poses on images.

    Args:
        dataset_meta (dict): MMPose's description of the keypoints.
        kpt_thr (float): Keypoints with a lower score are not drawn. Defaults to 0.3.
        score_thr (float): People with a lower score are not drawn. Defaults to 0.
        boxes (bool): Whether boxes are drawn. Defaults to ``True``.
        black (bool): Whether poses are drawn on black instead of the image. Defaults to
            ``False``.
        color_by (str): ``'keypoint'``, the colours of ``dataset_meta``, or
            ``'person'``, one colour for each person of an image, the most confident one
            first; or ``'id'``, one colour for each id of tracked people, which is
            written beside them, and grey for people without one. Defaults to
            ``'keypoint'``.

    Raises:
        ValueError: If ``color_by`` is unknown.
    """

    def __init__(
        self,
        dataset_meta: dict,
        kpt_thr: float = 0.3,
        score_thr: float = 0.0,
        boxes: bool = True,
        black: bool = False,
        color_by: str = 'keypoint',
    ) -> None:
        if color_by not in COLOR_BY:
            raise ValueError(f'color_by must be one of {COLOR_BY}, got {color_by!r}')
        self.kpt_thr, self.score_thr = kpt_thr, score_thr
        self.boxes, self.black, self.color_by = boxes, black, color_by
        self.visualizer = NumpySafePoseVisualizer(bbox_color='green')
        self.visualizer.set_dataset_meta(dataset_meta)
        self._numbers = (
            dataset_meta['num_keypoints'],
            len(dataset_meta['skeleton_links']),
        )

    def draw(self, image: np.ndarray, poses: PoseDataSample) -> np.ndarray:
        """Draw boxes and poses.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8. Not changed.
            poses (PoseDataSample): The poses of the image.

        Returns:
            np.ndarray: The drawing, BGR (H, W, 3), uint8.

        Raises:
            ValueError: If colours are by id, and people are not tracked.
        """
        people = poses.pred_instances
        if self.color_by == 'id' and 'track_ids' not in people:
            raise ValueError("color_by='id' needs track_ids: track the people")
        people = people[people.scores >= self.score_thr]
        # Lines and dots scale with the size of the image.
        width = max(1, round(max(image.shape[:2]) / 400))
        self.visualizer.line_width, self.visualizer.radius = width, width + 1
        background = np.zeros_like(image) if self.black else image
        drawing = np.ascontiguousarray(background[..., ::-1])
        if self.color_by == 'keypoint':
            drawing = self._draw(drawing, people)
        else:
            for i in range(len(people)):
                index = people.track_ids[i] if self.color_by == 'id' else i
                color = _color(index)
                self._set_color(color)
                drawing = self._draw(drawing, people[i])
                if self.color_by == 'id' and index != NOT_TRACKED:
                    _write_id(drawing, people.bboxes[i], index, color, width)
        return np.ascontiguousarray(drawing[..., ::-1])

    def _draw(self, image: np.ndarray, people: InstanceData) -> np.ndarray:
        """Draw people on an RGB image in the colours of the visualizer."""
        return self.visualizer.add_datasample(
            'poses',
            image,
            PoseDataSample(pred_instances=people),
            draw_gt=False,
            draw_bbox=self.boxes,
            kpt_thr=self.kpt_thr,
        )

    def _set_color(self, color: tuple[int, ...]) -> None:
        """Set the colour of a person, RGB."""
        keypoints, links = self._numbers
        self.visualizer.bbox_color = color
        self.visualizer.kpt_color = np.tile(color, (keypoints, 1))
        self.visualizer.link_color = np.tile(color, (links, 1))


def _color(index: int) -> tuple[int, ...]:
    """Colour of a person, RGB."""
    if index == NOT_TRACKED:
        return _GREY
    return tuple(round(255 * x) for x in hsv_to_rgb(index * _HUE_STEP % 1, 1, 1))


def _write_id(
    drawing: np.ndarray, bbox: np.ndarray, index: int, color: tuple, width: int
) -> None:
    """Write an id inside the upper left corner of a box, or of the image."""
    size = 0.5 * width
    left, top = np.maximum(bbox[:2], 0) + (2 * width, 2 * width + 22 * size)
    place = round(float(left)), round(float(top))
    font = cv2.FONT_HERSHEY_SIMPLEX
    # A dark edge keeps the number legible on any background.
    for shade, thickness in (((0, 0, 0), 3 * width), (color, width)):
        cv2.putText(
            drawing, str(index), place, font, size, shade, thickness, cv2.LINE_AA
        )
