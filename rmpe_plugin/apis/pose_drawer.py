# SPDX-License-Identifier: Apache-2.0
"""Drawing of poses on images."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.tracking import NOT_TRACKED

COLOR_BY = ('keypoint', 'person', 'id')
# Multiples of the golden ratio are hues that differ from all before.
_HUE_STEP = 0.618034
Color = tuple[int, ...]  # BGR
_GREEN: Color = (0, 255, 0)
_GREY: Color = (160, 160, 160)
# Pixels. OpenCV's coordinates are integers of 32 bits.
_LIMIT = 2**30


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
        self.links = dataset_meta['skeleton_links']
        self._keypoint_colors = _bgr(dataset_meta, 'keypoint_colors')
        self._link_colors = _bgr(dataset_meta, 'skeleton_link_colors')

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
        people = people[people.scores >= self.score_thr]
        drawing = np.zeros_like(image) if self.black else image.copy()
        # Lines and dots scale with the size of the image.
        width = max(1, round(max(image.shape[:2]) / 400))
        colors = self._colors(people)
        if self.boxes:
            corners = _pixels(people.bboxes).tolist()
            finite = np.isfinite(people.bboxes).all(axis=1)
            for (x1, y1, x2, y2), color, is_finite in zip(
                corners, colors, finite, strict=True
            ):
                if is_finite:
                    cv2.rectangle(drawing, (x1, y1), (x2, y2), color or _GREEN, width)
        shown = people.keypoint_scores >= self.kpt_thr
        shown &= np.isfinite(people.keypoints).all(axis=-1)
        points = _pixels(people.keypoints)
        for person in zip(points.tolist(), shown, colors, strict=True):
            self._draw_pose(drawing, *person, width)
        if self.color_by == 'id':
            _write_ids(drawing, people, width)
        return drawing

    def _draw_pose(
        self,
        image: np.ndarray,
        points: list[list[int]],
        shown: np.ndarray,
        color: Color | None,
        width: int,
    ) -> None:
        """Draw the links and keypoints that are shown, in one colour if it is given."""
        for (i, j), own in zip(self.links, self._link_colors, strict=True):
            if shown[i] and shown[j]:
                ends = points[i], points[j]
                cv2.line(image, *ends, color or own, width, cv2.LINE_AA)
        for i, own in enumerate(self._keypoint_colors):
            if shown[i]:
                cv2.circle(image, points[i], width + 1, color or own, -1, cv2.LINE_AA)

    def _colors(self, people: InstanceData) -> Sequence[Color | None]:
        """Colour of each person; ``None`` if colours are those of keypoints."""
        if self.color_by == 'keypoint':
            return [None] * len(people)
        if self.color_by == 'person':
            return [_color(i) for i in range(len(people))]
        if 'track_ids' not in people:
            raise ValueError("color_by='id' needs track_ids: track the people")
        return [_id_color(i) for i in people.track_ids]


def _color(index: int) -> Color:
    """Colour of a person or an id."""
    red, green, blue = hsv_to_rgb(index * _HUE_STEP % 1, 1, 1)
    return round(255 * blue), round(255 * green), round(255 * red)


def _id_color(index: int) -> Color:
    """Colour of an id; grey for people without one."""
    return _GREY if index == NOT_TRACKED else _color(index)


def _write_ids(drawing: np.ndarray, people: InstanceData, width: int) -> None:
    """Write each id inside the upper left corner of its box, or of the image."""
    size = 0.5 * width
    corners = _pixels(people.bboxes)[:, :2].clip(0) + (2 * width, 2 * width + 22 * size)
    for (x, y), index in zip(corners, people.track_ids, strict=True):
        if index == NOT_TRACKED:
            continue
        # A dark edge keeps the number legible on any background.
        for shade, thickness in (((0, 0, 0), 3 * width), (_id_color(index), width)):
            cv2.putText(
                drawing, str(index), (round(float(x)), round(float(y))),
                cv2.FONT_HERSHEY_SIMPLEX, size, shade, thickness, cv2.LINE_AA,
            )  # fmt: skip


def _pixels(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates as integers that OpenCV can draw."""
    return np.nan_to_num(coordinates).clip(-_LIMIT, _LIMIT).astype(int)


def _bgr(dataset_meta: dict, key: str) -> list[Color]:
    """Colours of the description, which are RGB."""
    return [tuple(map(int, color[::-1])) for color in dataset_meta[key]]
