# SPDX-License-Identifier: Apache-2.0
"""Tracking of people by their boxes and poses."""

import numpy as np
from mmengine.structures import InstanceData
from mmpose.registry import TASK_UTILS
from numpy.typing import ArrayLike

from rmpe_plugin.ops import (
    Motion,
    PoseNMSParams,
    bounded_pose_similarity,
    box_iou,
    combine_similarities,
    correct_motion,
    largest_overlap,
    oks_variances,
    predict_motion,
    valid_boxes,
    weighted_oks,
)
from rmpe_plugin.structures.coco.people import AREA_OF_BOX

from .clock import Clock
from .tracker import NOT_TRACKED

SIMILARITIES = ('oks', 'rmpe')
# Motion, in units of the root of a person's area: density of the acceleration, per
# second cubed; deviation of the first velocity, per second; of a box's centre.
_ACCELERATION, _VELOCITY, _CENTRE = 2.0, 1.0, 0.03
# Time constant of the velocity of a limb relative to the body, seconds.
_TAU = 0.5
_POSE_DISTANCE = PoseNMSParams.preset('rmpe-mpii')


@TASK_UTILS.register_module()
class PoseTracker:
    """Gives each person of a video an id, by boxes and poses.

    The similarity of a pose to a track is a combination of IoU and OKS, see
    :mod:`rmpe_plugin.ops.rmpe.association`. Poses with a high box score are matched to
    the tracks first, the other ones to the tracks that remain, as ByteTrack does. A
    pose with a high score that matches no track starts one. A track moves on where its
    person has no match, see :mod:`rmpe_plugin.ops.rmpe.pose_motion`. It ends after
    ``max_lost``, or if it was seen in a single frame.

    Poses are expected after pose NMS, which removes second poses of a person.

    Args:
        sigmas (ArrayLike): OKS sigma of each keypoint (K,).
        similarity (str): ``'oks'``, or ``'rmpe'`` for RMPE's pose distance. Defaults to
            ``'oks'``.
        pose_weight (float): Weight of the poses, that of the boxes is the rest.
            Defaults to 0.6.
        high_score (float): Box score from which on a pose is matched first and starts a
            track. Defaults to 0.5.
        min_similarity (float): Minimum similarity of a match. Defaults to 0.05.
        max_lost (float): Time after which a track without a match ends, seconds.
            Defaults to 1.
        frame_rate (float): Frames per second, for frames without a time. Defaults to
            25.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> tracker = PoseTracker(np.full(17, 0.08))
        >>> pose = InstanceData(
        ...     keypoints=np.random.rand(1, 17, 2) * 100,
        ...     keypoint_scores=np.ones((1, 17)),
        ...     bboxes=np.array([[0.0, 0, 100, 100]]),
        ...     bbox_scores=np.ones(1))
        >>> tracker.update(pose, timestamp=0.0), tracker.update(pose, timestamp=0.04)
        (array([1]), array([1]))
    """

    def __init__(
        self,
        sigmas: ArrayLike,
        *,
        similarity: str = 'oks',
        pose_weight: float = 0.6,
        high_score: float = 0.5,
        min_similarity: float = 0.05,
        max_lost: float = 1.0,
        frame_rate: float = 25.0,
    ) -> None:
        if similarity not in SIMILARITIES:
            raise ValueError(
                f'similarity must be one of {SIMILARITIES}, got {similarity!r}'
            )
        self.sigmas = np.asarray(sigmas, float)
        if self.sigmas.ndim != 1 or not (len(self.sigmas) and (self.sigmas > 0).all()):
            raise ValueError(f'sigmas must be positive (K,), got {sigmas!r}')
        if not 0 <= pose_weight <= 1:
            raise ValueError(f'pose_weight must be in [0, 1], got {pose_weight!r}')
        for name, value in dict(
            min_similarity=min_similarity, max_lost=max_lost
        ).items():
            if not value > 0:
                raise ValueError(f'{name} must be above 0, got {value!r}')
        self.similarity, self.pose_weight = similarity, pose_weight
        self.high_score, self.min_similarity = high_score, min_similarity
        self.max_lost = max_lost
        self._clock = Clock(frame_rate)
        # The centre of the box is the last point of a track.
        self._deviations = np.append(self.sigmas, _CENTRE)
        self._tracks = np.zeros(0, _track_type(len(self._deviations)))
        self._next_id = 1

    def update(
        self,
        poses: InstanceData,
        timestamp: float | None = None,
        image: np.ndarray | None = None,
        detected: bool = True,
    ) -> np.ndarray:
        """Give the people of the next frame their ids, see :meth:`Tracker.update`.

        People without a valid box are not tracked. The image is not used.

        Args:
            poses (InstanceData): The people.
            timestamp (float, optional): When the frame is shown, seconds. Defaults to
                ``None``.
            image (np.ndarray, optional): The frame. Defaults to ``None``.
            detected (bool): Whether the boxes come from a detector. Those of
                :meth:`predict_boxes` do not: they follow the poses, and no track
                starts. Defaults to ``True``.

        Returns:
            np.ndarray: Ids (N,), -1 for people who are not tracked.

        Raises:
            ValueError: If the time is not later than that of the last frame, or is not
                finite, or the number of keypoints is not that of the sigmas.
        """
        if poses.keypoints.shape[1:] != (len(self.sigmas), 2):
            raise ValueError(
                f'keypoints must be (N, {len(self.sigmas)}, 2), as many as sigmas, got '
                f'{poses.keypoints.shape}'
            )
        self._move(self._tracks, self._clock.advance(timestamp))
        valid = np.flatnonzero(valid_boxes(poses.bboxes))
        people = self._observe(poses, valid)
        high = poses.bbox_scores[valid] >= self.high_score
        tracks = self._match(self._similarity(people), high)
        matched, new = tracks >= 0, (tracks < 0) & high & detected
        people['id'][matched] = self._tracks['id'][tracks[matched]]
        people['margin'] = _margins(people)
        people['id'][new] = self._next_id + np.arange(new.sum())
        self._next_id += new.sum()
        self._correct(tracks[matched], people[matched], detected)
        self._tracks = np.concatenate((self._tracks[self._alive()], people[new]))
        ids = np.full(len(poses.bboxes), NOT_TRACKED)
        ids[valid] = people['id']
        return ids

    def predict_boxes(self, timestamp: float | None = None) -> InstanceData:
        """Predict the boxes of the next frame, without a detector.

        A box is as large as the detector's last one, and moves with the keypoints.

        Args:
            timestamp (float, optional): When the frame is shown, seconds. Defaults to
                ``None``, one frame later.

        Returns:
            InstanceData: ``bboxes`` (N, 4), xyxy, pixels, and ``bbox_scores`` (N,) of
            the people who were seen in the last frame, float32.

        Raises:
            ValueError: See :meth:`Tracker.update`.
        """
        dt = self._clock.elapsed(timestamp)
        tracks = self._tracks[self._tracks['seen'] == self._clock.time]
        self._move(tracks, dt)
        return InstanceData(
            bboxes=_boxes(tracks).astype(np.float32),
            bbox_scores=tracks['box_score'].astype(np.float32),
        )

    def _observe(self, poses: InstanceData, valid: np.ndarray) -> np.ndarray:
        """People with valid boxes, each as a track that starts."""
        keypoints, scores = poses.keypoints[valid], poses.keypoint_scores[valid]
        bboxes = poses.bboxes[valid]
        known = np.isfinite(keypoints).all(axis=-1) & (scores > 0) & (scores < np.inf)
        centre = (bboxes[:, None, :2] + bboxes[:, None, 2:]) / 2
        people = np.zeros(len(valid), self._tracks.dtype)
        people['id'], people['seen'] = NOT_TRACKED, self._clock.time
        people['size'] = bboxes[:, 2:] - bboxes[:, :2]
        people['scores'] = np.where(known, scores, 0.0)
        people['box_score'] = poses.bbox_scores[valid]
        people['position'][:, :-1] = np.where(known[..., None], keypoints, centre)
        people['position'][:, -1:] = centre
        # A keypoint that is not known is anywhere in the box.
        deviation = np.ones((len(valid), len(self._deviations)))
        deviation[:, -1] = _CENTRE
        np.divide(self.sigmas, scores, out=deviation[:, :-1], where=known)
        area = _area(people['size'])[:, None]
        people['covariance'][..., 0] = deviation**2 * area
        people['covariance'][..., 2] = _VELOCITY**2 * area
        return people

    def _move(self, tracks: np.ndarray, dt: float) -> None:
        """Move tracks to where they are after some time."""
        density = _ACCELERATION * _area(tracks['size'])[:, None]
        _assign(tracks, predict_motion(_motion(tracks), dt, density, _TAU))

    def _similarity(self, people: np.ndarray) -> np.ndarray:
        """Similarity (N, T) of people to tracks."""
        number = len(self._tracks)
        # The people of the frame are compared with each other, too.
        others = np.concatenate((self._tracks, people))
        bboxes = _boxes(others)
        iou = box_iou(bboxes[number:], bboxes)
        # Poses are compared where their boxes overlap.
        pairs = i, j = np.nonzero(iou)
        arrays = (
            people['position'][:, :-1],
            people['scores'],
            others['position'][:, :-1],
            others['scores'],
        )
        pose = np.zeros_like(iou)
        if self.similarity == 'oks':
            variances = oks_variances(_area(others['size']), self.sigmas)
            pose[pairs] = weighted_oks(*arrays, variances, i, j)
        else:
            pose[pairs] = bounded_pose_similarity(*arrays, bboxes, i, j, _POSE_DISTANCE)
        overlaps = largest_overlap(pose[:, number:])
        return combine_similarities(
            pose[:, :number], iou[:, :number], overlaps, self.pose_weight
        )

    def _match(self, similarity: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Track (N,) of each person, -1 for none: high scores first, then the rest."""
        # The import takes half a second, which pictures need not wait for.
        from scipy.optimize import linear_sum_assignment

        # Dissimilar pairs add nothing to an assignment.
        similarity = np.where(similarity >= self.min_similarity, similarity, 0.0)
        tracks = np.full(len(high), -1)
        free = np.ones(similarity.shape[1], bool)
        for stage in (high, ~high):
            rows, columns = np.flatnonzero(stage), np.flatnonzero(free)
            part = similarity[rows[:, None], columns]
            row, column = linear_sum_assignment(part, maximize=True)
            similar = part[row, column] > 0
            tracks[rows[row[similar]]] = columns[column[similar]]
            free[columns[column[similar]]] = False
        return tracks

    def _correct(self, tracks: np.ndarray, people: np.ndarray, detected: bool) -> None:
        """Correct tracks (M,) by the people (M,) that match them."""
        corrected = self._tracks[tracks]
        noise = people['covariance'][..., 0]
        noise[:, :-1][people['scores'] == 0] = np.inf
        _assign(
            corrected, correct_motion(_motion(corrected), people['position'], noise)
        )
        for name in ('scores', 'box_score', 'seen'):
            corrected[name] = people[name]
        if detected:
            corrected['size'] = people['size']
            corrected['margin'] = _margins(corrected)
        else:
            _follow_poses(corrected)
        corrected['confirmed'] = True
        self._tracks[tracks] = corrected

    def _alive(self) -> np.ndarray:
        """Whether each track goes on (T,)."""
        lost = self._clock.time - self._tracks['seen']
        return (lost == 0) | (self._tracks['confirmed'] & (lost <= self.max_lost))


def _track_type(points: int) -> list[tuple]:
    """Fields of a track."""
    return [
        ('id', int),
        ('position', float, (points, 2)),
        ('velocity', float, (points, 2)),
        ('covariance', float, (points, 3)),
        ('size', float, 2),
        ('margin', float, 4),
        ('scores', float, points - 1),
        ('box_score', float),
        ('seen', float),
        ('confirmed', bool),
    ]


def _motion(tracks: np.ndarray) -> Motion:
    """The motion of tracks."""
    return Motion(*(tracks[name] for name in Motion._fields))


def _assign(tracks: np.ndarray, motion: Motion) -> None:
    """Set the motion of tracks."""
    for name, value in zip(Motion._fields, motion, strict=True):
        tracks[name] = value


def _area(size: np.ndarray) -> np.ndarray:
    """Area (T,) of people in boxes of some size (T, 2)."""
    return AREA_OF_BOX * size[:, 0] * size[:, 1]


def _around(tracks: np.ndarray) -> np.ndarray:
    """Rectangles around the keypoints (T, 4), xyxy."""
    keypoints = tracks['position'][:, :-1]
    return np.concatenate((keypoints.min(axis=1), keypoints.max(axis=1)), axis=1)


def _margins(tracks: np.ndarray) -> np.ndarray:
    """How far the edges of the boxes are from the keypoints (T, 4)."""
    return _boxes(tracks) - _around(tracks)


def _follow_poses(tracks: np.ndarray) -> None:
    """Move boxes with the keypoints; they keep their size."""
    # A size that follows the pose would grow as soon as the pose jumps to a neighbour.
    bboxes = _around(tracks) + tracks['margin']
    tracks['position'][:, -1] = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    tracks['velocity'][:, -1] = tracks['velocity'][:, :-1].mean(axis=1)


def _boxes(tracks: np.ndarray) -> np.ndarray:
    """Boxes (T, 4), xyxy."""
    centre, half = tracks['position'][:, -1], tracks['size'] / 2
    return np.concatenate((centre - half, centre + half), axis=1)
