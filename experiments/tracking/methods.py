# SPDX-License-Identifier: Apache-2.0
"""The trackers that are compared, and the settings that are tried for each."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.structures import suppress_instances
from rmpe_plugin.tracking import BoxTracker, PoseTracker

from .data import FPS, Poses

# COCO's sigmas.
SIGMAS = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
) / 1000  # fmt: skip
NMS = PoseNMSParams.preset('alphapose-coco')

Update = Callable[[InstanceData, np.ndarray], np.ndarray]


class Method(NamedTuple):
    """A tracker.

    Attributes:
        name (str): Name in tables.
        make (Callable): Makes the tracker of a video with some settings: a function of
            the poses and the image of a frame that returns their ids.
        grid (dict[str, Sequence]): Values that are tried for each setting.
    """

    name: str
    make: Callable[..., Update]
    grid: dict[str, Sequence]

    def settings(self) -> list[dict]:
        """All combinations of the values."""
        return [
            dict(zip(self.grid, values, strict=True))
            for values in product(*self.grid.values())
        ]


def track(
    method: Method, settings: dict, poses: Poses, images: Sequence, pose_nms: bool
) -> Poses:
    """Track the poses of a video.

    Args:
        method (Method): The tracker.
        settings (dict): Its settings.
        poses (Poses): Poses of each frame.
        images (Sequence): Images of the frames.
        pose_nms (bool): Whether pose NMS comes first.

    Returns:
        Poses: Copies of the poses with ``track_ids``.
    """
    if pose_nms:
        poses = suppress_instances(poses, NMS, [frame.scores for frame in poses])
    update = method.make(**settings)
    tracked = []
    for frame, image in zip(poses, images, strict=True):
        frame = frame.new()
        frame.track_ids = update(frame, image)
        tracked.append(frame)
    return tracked


def _box_tracker(name: str) -> Callable[..., Update]:
    """A tracker of the package trackers, which sees only boxes."""

    def make(**settings) -> Update:
        tracker = BoxTracker(name, frame_rate=FPS, **settings)
        return lambda poses, image: tracker.update(poses, image=image)

    return make


def _pose_tracker(**fixed) -> Callable[..., Update]:
    """The tracker of this package."""

    def make(**settings) -> Update:
        tracker = PoseTracker(SIGMAS, frame_rate=FPS, **fixed, **settings)
        return lambda poses, image: tracker.update(poses)

    return make


_OWN = dict(high_score=(0.3, 0.5), min_similarity=(0.05, 0.15))
_WEIGHT = dict(pose_weight=(0.4, 0.6))
# 30 is one second, at any frame rate.
_BOXES = dict(lost_track_buffer=(30, 60), high_conf_det_threshold=(0.3, 0.5))
METHODS = (
    Method(
        'ByteTrack', _box_tracker('bytetrack'),
        dict(_BOXES, track_activation_threshold=(0.3, 0.5),
             minimum_consecutive_frames=(1, 2)),
    ),
    Method(
        'OC-SORT', _box_tracker('ocsort'),
        dict(_BOXES, minimum_iou_threshold=(0.1, 0.3),
             minimum_consecutive_frames=(1, 3)),
    ),
    Method(
        'BoT-SORT', _box_tracker('botsort'),
        dict(high_conf_det_threshold=(0.3, 0.5), track_activation_threshold=(0.3,)),
    ),
    Method('IoU', _pose_tracker(pose_weight=0.0), _OWN),
    Method('OKS', _pose_tracker(pose_weight=1.0), _OWN),
    Method('OKS and IoU', _pose_tracker(), dict(_OWN, **_WEIGHT)),
    Method(
        "RMPE's distance and IoU", _pose_tracker(similarity='rmpe'),
        dict(_OWN, **_WEIGHT),
    ),
)  # fmt: skip
