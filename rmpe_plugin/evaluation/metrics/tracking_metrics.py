# SPDX-License-Identifier: Apache-2.0
"""Metrics of tracked poses: HOTA, CLEAR and IDF1, and PoseTrack's MOTA."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.structures import InstanceData
from mmpose.registry import METRICS, TASK_UTILS

from rmpe_plugin.evaluation.functional.tracking import (
    TrackedVideo,
    combine_videos,
    import_trackers_eval,
    video_metrics,
)
from rmpe_plugin.ops import (
    JointTracking,
    PoseNMSParams,
    joint_tracking,
    oks_variances,
    pose_oks,
    pose_pck,
)
from rmpe_plugin.structures import (
    AnnotatedVideo,
    area_of,
    group_by_image,
    is_evaluated,
    labelled_keypoints,
    poses_from_records,
    read_results,
    read_tracks,
    reference_length,
    suppress_instances,
)

SIMILARITIES = ('oks', 'pckh')
# Share of the head size in PCKh.
PCKH_THR = 0.5
# Joints that PoseTrack does not evaluate.
EXCLUDED = ('left_ear', 'right_ear')


class TrackingMetric(BaseMetric):
    """Base of the metrics of tracked poses.

    Crowds and people without labelled keypoints are not evaluated, and predictions for
    them are false positives, as are those in regions that PoseTrack18 ignores.
    Predictions with a negative id have no track and are not evaluated.

    Args:
        ann_file (str): Annotations with ids of videos, frames and people, see
            :func:`rmpe_plugin.structures.read_tracks`.
        tracker (dict, optional): Config of the tracker of each video, such as
            ``dict(type='PoseTracker')``; its ``sigmas`` are those of the
            data set. Defaults to ``None``: predictions have ``track_ids``.
        pose_nms (dict | str, optional): Parameters of pose NMS, which is applied to the
            predictions of each image first, see :class:`PoseNMSCocoMetric`. Defaults to
            ``None``: no pose NMS.
        reference (str): Entry of an annotation with the head box or head size, see
            :func:`rmpe_plugin.structures.reference_length`. Defaults to
            ``'head_box'``; PoseTrack18's is ``'bbox_head'``.
        kwargs: Arguments of ``mmengine.evaluator.BaseMetric``.

    Raises:
        ValueError: If the annotations are invalid; in :meth:`compute_metrics`, if
            predictions have no ids and there is no tracker, or two predictions of an
            image have the same id.
    """

    def __init__(
        self,
        ann_file: str,
        tracker: dict | None = None,
        pose_nms: dict | str | None = None,
        reference: str = 'head_box',
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.ann_file = Path(ann_file)
        self.dataset, self.videos = read_tracks(self.ann_file)
        self.tracker, self.reference = tracker, reference
        self.pose_nms = (
            None if pose_nms is None else PoseNMSParams.from_config(pose_nms)
        )

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the predictions of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Outputs of a pose estimator.
        """
        for sample in data_samples:
            pose = sample['pred_instances']
            # The data set has the scores of the detections of a top-down model.
            scored = pose if 'bbox_scores' in pose else sample['gt_instances']
            record = dict(
                keypoints=pose['keypoints'],  # (N, K, 2)
                keypoint_scores=pose['keypoint_scores'],
                bboxes=pose['bboxes'],
                bbox_scores=np.asarray(scored['bbox_scores']),
            )
            if 'track_ids' in pose:
                record['track_ids'] = np.asarray(pose['track_ids'])
            self.results.append((sample['img_id'], record))

    def compute_metrics(self, results: list[tuple[int, dict]]) -> dict[str, float]:
        """Track the predictions and compute the metrics.

        Args:
            results (list[tuple[int, dict]]): What :meth:`process` collected.

        Returns:
            dict[str, float]: The metrics.
        """
        poses: dict[int, list[InstanceData]] = {}
        for image_id, record in results:
            poses.setdefault(image_id, []).append(InstanceData(**record))
        return self.evaluate_poses(
            {image_id: InstanceData.cat(parts) for image_id, parts in poses.items()}
        )

    def evaluate_file(self, path: Path) -> dict[str, float]:
        """Compute the metrics of a result file.

        Args:
            path (Path): COCO results as ``rmpe predict --track`` writes. Those without
                ``track_id`` have no track. ``image_id`` is the id of an image, or the
                name of its video, ``'/'`` and ``frame_id``.

        Returns:
            dict[str, float]: The metrics.

        Raises:
            ValueError: If a result is invalid or of another image, or there are results
                and none has ``track_id``.
        """
        names = {v['id']: v['name'] for v in self.dataset.get('videos', [])}
        ids: dict[int | str, int] = {}
        for image in self.dataset['images']:
            ids[image['id']] = image['id']
            if image.get('video_id') in names:
                ids[f'{names[image["video_id"]]}/{image["frame_id"]}'] = image['id']
        results = read_results(path, {'image_id', 'keypoints', 'bbox', 'score'})
        if results and not any('track_id' in result for result in results):
            raise ValueError(f'{path}: no result has a track_id')
        records = group_by_image(results)
        if others := [image_id for image_id in records if image_id not in ids]:
            raise ValueError(
                f'{path}: the image {others[0]!r} is not among the {len(self.videos)} '
                f'videos of {self.ann_file}'
            )
        poses = {}
        for image_id, people in records.items():
            pose = poses_from_records(people, len(self.joints))
            pose.track_ids = np.array([person.get('track_id', -1) for person in people])
            poses[ids[image_id]] = pose
        return self.evaluate_poses(poses)

    @property
    def joints(self) -> list[str]:
        """Names of the keypoints."""
        names = self.dataset_meta['keypoint_id2name']
        return [names[k] for k in range(len(names))]

    def evaluate_poses(self, poses: Mapping[int, InstanceData]) -> dict[str, float]:
        """Compute the metrics of the poses of all images.

        Args:
            poses (Mapping[int, InstanceData]): By image id, with ``keypoints``
                (N, K, 2), ``keypoint_scores`` (N, K), ``bboxes`` (N, 4), ``track_ids``
                (N,) without a tracker, and ``bbox_scores`` (N,) with one.

        Returns:
            dict[str, float]: The metrics.
        """
        if self.pose_nms is not None:
            kept = suppress_instances([*poses.values()], self.pose_nms)
            poses = dict(zip(poses, kept, strict=True))
        return self._evaluate([self._frames(video, poses) for video in self.videos])

    def _frames(
        self, video: AnnotatedVideo, poses: Mapping[int, InstanceData]
    ) -> list[tuple[list[dict], InstanceData]]:
        """Evaluated people and tracked poses of the labelled images of a video."""
        none = np.zeros((0, len(self.joints), 2))
        empty = InstanceData(
            keypoints=none, keypoint_scores=none[..., 0], bboxes=np.zeros((0, 4)),
            bbox_scores=np.zeros(0), track_ids=np.zeros(0, int),
        )  # fmt: skip
        predictions = [poses.get(image['id'], empty) for image in video.images]
        if self.tracker is not None:
            predictions = self._track(predictions)
        frames = []
        for image, people, pose in zip(
            video.images, video.people, predictions, strict=True
        ):
            if people is None:
                continue
            if 'track_ids' not in pose:
                raise ValueError(
                    f'the predictions of image {image["id"]} have no track_ids: set '
                    "evaluator.tracker=dict(type='PoseTracker') to track them"
                )
            pose = pose[np.asarray(pose.track_ids) >= 0]
            ids, counts = np.unique(pose.track_ids, return_counts=True)
            if (counts > 1).any():
                raise ValueError(
                    f'two predictions of image {image["id"]} have the track id '
                    f'{ids[counts > 1][0]}'
                )
            frames.append((list(filter(is_evaluated, people)), pose))
        return frames

    def _track(self, predictions: list[InstanceData]) -> list[InstanceData]:
        """Copies of the poses of a video with the ids of a new tracker."""
        sigmas = np.asarray(self.dataset_meta['sigmas'])
        tracker = TASK_UTILS.build(dict(self.tracker, sigmas=sigmas))
        tracked = []
        for poses in predictions:
            poses = poses.new()
            poses.track_ids = tracker.update(poses)
            tracked.append(poses)
        return tracked

    @abstractmethod
    def _evaluate(
        self, videos: list[list[tuple[list[dict], InstanceData]]]
    ) -> dict[str, float]:
        """Metrics of the people and poses of each frame of each video."""


@METRICS.register_module()
class PoseTrackingMetric(TrackingMetric):
    """HOTA, CLEAR (MOTA, identity switches) and IDF1 of tracked poses.

    They are computed by the package ``trackers`` (extra ``track``) as by TrackEval, on
    the similarity of poses. The metrics are ``tracking/HOTA``, ``DetA``, ``AssA``,
    ``MOTA`` and ``IDF1``, at most 1, and ``IDSW``, the number of identity switches.

    Args:
        ann_file (str): See :class:`TrackingMetric`.
        similarity (str): ``'oks'``, or ``'pckh'``: the share of the labelled joints
            within half of the head size (``reference``). Defaults to ``'oks'``.
        threshold (float): Smallest similarity of a match for CLEAR and IDF1. Defaults
            to 0.5.
        kwargs: Other arguments of :class:`TrackingMetric`.

    Raises:
        ModuleNotFoundError: If ``trackers`` is not installed.
        ValueError: If ``similarity`` is unknown; see also :class:`TrackingMetric`.
    """

    default_prefix = 'tracking'

    def __init__(
        self,
        ann_file: str,
        similarity: str = 'oks',
        threshold: float = 0.5,
        **kwargs,
    ) -> None:
        # Before a test of hours
        import_trackers_eval()
        if similarity not in SIMILARITIES:
            raise ValueError(
                f'evaluator.similarity must be one of {SIMILARITIES}, got '
                f'{similarity!r}'
            )
        super().__init__(ann_file, **kwargs)
        self.similarity, self.threshold = similarity, threshold

    def _evaluate(
        self, videos: list[list[tuple[list[dict], InstanceData]]]
    ) -> dict[str, float]:
        """Combine the metrics of all videos."""
        return combine_videos([self.evaluate_video(frames) for frames in videos])

    def evaluate_video(
        self, frames: list[tuple[list[dict], InstanceData]]
    ) -> list[dict]:
        """Compute the counts of one video.

        Args:
            frames (list[tuple[list[dict], InstanceData]]): Annotations of the evaluated
                people and poses with ``track_ids`` of each frame.

        Returns:
            list[dict]: See
            :func:`rmpe_plugin.evaluation.functional.tracking.video_metrics`.
        """
        video = TrackedVideo(
            [_ids(people) for people, _ in frames],
            [np.asarray(pose.track_ids) for _, pose in frames],
            [self._similarities(people, pose) for people, pose in frames],
        )
        return video_metrics(video, self.threshold)

    def _similarities(self, people: list[dict], poses: InstanceData) -> np.ndarray:
        """Similarities (G, P) of the people and poses of a frame."""
        gt = labelled_keypoints(people, len(self.joints))
        if self.similarity == 'oks':
            areas = np.array([area_of(person) for person in people])
            variances = oks_variances(areas, self.dataset_meta['sigmas'])
            return pose_oks(poses.keypoints, gt, variances).T
        radius = PCKH_THR * _lengths(people, self.reference)
        return pose_pck(poses.keypoints, gt, radius).T


@METRICS.register_module()
class JointMOTA(TrackingMetric):
    """MOTA of each joint and their mean, the metric of PoseTrack.

    See :func:`rmpe_plugin.ops.joint_tracking` for the rules. The metrics are
    ``posetrack/MOTA``, the mean over the joints, ``posetrack/<joint>``, both percent,
    and ``posetrack/IDSW``, the number of switches of all joints.

    Args:
        ann_file (str): See :class:`TrackingMetric`.
        keypoint_score_thr (float): Joints with lower scores are not predicted. Defaults
            to 0.2.
        kwargs: Other arguments of :class:`TrackingMetric`.

    Raises:
        ValueError: See :class:`TrackingMetric`.
    """

    default_prefix = 'posetrack'

    def __init__(
        self, ann_file: str, keypoint_score_thr: float = 0.2, **kwargs
    ) -> None:
        super().__init__(ann_file, **kwargs)
        self.keypoint_score_thr = keypoint_score_thr

    def _evaluate(
        self, videos: list[list[tuple[list[dict], InstanceData]]]
    ) -> dict[str, float]:
        """MOTA of each joint from the counts of all videos."""
        selected = [k for k, name in enumerate(self.joints) if name not in EXCLUDED]
        counts = [self._count(frames, selected) for frames in videos if frames]
        total = JointTracking(*np.sum(counts, axis=0))
        mota = dict(
            zip([self.joints[k] for k in selected], 100 * total.mota, strict=True)
        )
        known = {name: float(x) for name, x in mota.items() if np.isfinite(x)}
        mean = float(np.mean([*known.values()])) if known else float('nan')
        return dict(MOTA=mean, IDSW=float(total.switches.sum()), **known)

    def _count(
        self, frames: list[tuple[list[dict], InstanceData]], selected: list[int]
    ) -> JointTracking:
        """Count the errors of one video."""
        gt, lengths, gt_ids, keypoints, ids = [], [], [], [], []
        for people, poses in frames:
            gt.append(labelled_keypoints(people, len(self.joints))[:, selected])
            lengths.append(_lengths(people, self.reference))
            gt_ids.append(_ids(people))
            predicted = poses.keypoint_scores >= self.keypoint_score_thr
            pose = np.where(predicted[..., None], poses.keypoints, np.nan)
            keypoints.append(pose[:, selected])
            ids.append(np.asarray(poses.track_ids))
        return joint_tracking(gt, lengths, gt_ids, keypoints, ids, PCKH_THR)


def _ids(people: list[dict]) -> np.ndarray:
    """Ids (G,) of annotated people."""
    return np.array([person['track_id'] for person in people], int)


def _lengths(people: list[dict], reference: str) -> np.ndarray:
    """Reference lengths (G,) of annotated people, pixels."""
    return np.array([reference_length(person, reference) for person in people])
