# SPDX-License-Identifier: Apache-2.0
"""Results in OpenPose's format."""

import json
from pathlib import Path

import numpy as np
from mmpose.structures import PoseDataSample

from rmpe_plugin.inference import Frame
from rmpe_plugin.utils.files import atomic_write

from .result_writer import ResultWriter

_RIGHT_ARM = ('right_shoulder', 'right_elbow', 'right_wrist')
_LEFT_ARM = ('left_shoulder', 'left_elbow', 'left_wrist')
_RIGHT_LEG = ('right_hip', 'right_knee', 'right_ankle')
_LEFT_LEG = ('left_hip', 'left_knee', 'left_ankle')
_HEAD = ('right_eye', 'left_eye', 'right_ear', 'left_ear')
_FEET = tuple(
    f'{side}_{point}'
    for side in ('left', 'right')
    for point in ('big_toe', 'small_toe', 'heel')
)
_ARMS = ('nose', 'neck', *_RIGHT_ARM, *_LEFT_ARM)
# BODY_25, OpenPose's default, and COCO, as AlphaPose writes it.
OPENPOSE_FORMATS = {
    'openpose': (*_ARMS, 'mid_hip', *_RIGHT_LEG, *_LEFT_LEG, *_HEAD, *_FEET),
    'openpose-18': (*_ARMS, *_RIGHT_LEG, *_LEFT_LEG, *_HEAD),
}
# Points that are the mean of two keypoints.
_MEANS = {
    'neck': ('left_shoulder', 'right_shoulder'),
    'mid_hip': ('left_hip', 'right_hip'),
}
_EMPTY: dict[str, list[float]] = {
    f'{part}_keypoints_{d}d': []
    for d in (2, 3)
    for part in ('pose', 'face', 'hand_left', 'hand_right')
}


class OpenPoseWriter(ResultWriter):
    """Writes one JSON file for each image, as OpenPose's ``--write_json``.

    The files are ``NAME_keypoints.json`` and, for frames of videos,
    ``VIDEO_000000000012_keypoints.json``. ``people[].pose_keypoints_2d`` is x, y and
    score of each point in pixels of the image. The neck is the mean of the shoulders,
    the middle of the hips that of the hips. Points that the model does not predict are
    0, 0, 0.

    Args:
        folder (Path): Output folder. Created if it does not exist.
        dataset_meta (dict): MMPose's description of the keypoints.
        file_format (str): ``'openpose'``, the 25 points of BODY_25, or
            ``'openpose-18'``, the 18 points of OpenPose's COCO model, as AlphaPose
            writes them. Defaults to ``'openpose'``.

    Raises:
        ValueError: If the format is unknown, or the model predicts none of its points.
    """

    def __init__(
        self, folder: Path, dataset_meta: dict, file_format: str = 'openpose'
    ) -> None:
        if file_format not in OPENPOSE_FORMATS:
            raise ValueError(
                f'file_format must be one of {[*OPENPOSE_FORMATS]}, got {file_format!r}'
            )
        super().__init__(folder)
        self._weights = _point_weights(dataset_meta, OPENPOSE_FORMATS[file_format])
        self._images: set[str] = set()

    def write(self, frame: Frame, poses: PoseDataSample) -> None:
        """Write the file of a frame.

        Args:
            frame (Frame): The frame.
            poses (PoseDataSample): Its poses.

        Raises:
            OSError: If the file cannot be written, or another image has its name.
        """
        name = Path(frame.name).stem
        if frame.video:
            index = int(str(frame.image_id).rpartition('/')[2])
            name = f'{Path(frame.video).stem}_{index:012}'
        elif name in self._images:
            raise OSError(f'{name}_keypoints.json is the file of another image')
        else:
            self._images.add(name)
        content = dict(version=1.3, people=self._people(poses))
        with atomic_write(self.folder / f'{name}_keypoints.json') as file:
            json.dump(content, file)

    def _people(self, poses: PoseDataSample) -> list[dict]:
        """The people of an image."""
        people = poses.pred_instances
        triples = np.dstack((people.keypoints, people.keypoint_scores))  # (N, K, 3)
        points = self._weights @ triples
        return [
            {'person_id': [-1], **_EMPTY, 'pose_keypoints_2d': x.ravel().tolist()}
            for x in points
        ]


def _point_weights(dataset_meta: dict, points: tuple[str, ...]) -> np.ndarray:
    """Weight of each keypoint in each point (P, K); 0 for points that are missing."""
    indices = dataset_meta['keypoint_name2id']
    weights = np.zeros((len(points), dataset_meta['num_keypoints']))
    for row, point in zip(weights, points, strict=True):
        sources = _MEANS.get(point, (point,))
        if all(source in indices for source in sources):
            row[[indices[source] for source in sources]] = 1 / len(sources)
    if not weights.any():
        raise ValueError(
            f'the model predicts none of the points of OpenPose, got {[*indices]}'
        )
    return weights
