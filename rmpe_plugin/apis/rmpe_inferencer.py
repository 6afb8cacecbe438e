# SPDX-License-Identifier: Apache-2.0
"""From images to poses: detector, pose estimator and pose NMS."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.inference import Frame, Frames, Inputs, pose_instances
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.structures import SCORE_MODES, person_scores, suppress_instances
from rmpe_plugin.tracking import (
    MakeTracker,
    PeopleTracker,
    check_tracker,
    tracker_maker,
)

from .boxes import Boxes, boxes_by_image, empty_boxes
from .detector import Detector, detect_frames
from .detector_loading import load_detector
from .estimator_loading import load_estimator


class PoseResult(NamedTuple):
    """A frame and its predicted poses.

    Attributes:
        frame (Frame): The frame; ``error`` is the reason if it was skipped.
        poses (PoseDataSample): ``pred_instances`` has ``keypoints`` (N, K, 2) in
            pixels of the image, ``keypoint_scores`` (N, K) in [0, 1], ``bboxes``
            (N, 4), xyxy, ``bbox_scores`` (N,) and ``scores`` (N,), sorted by decreasing
            score. With tracking it has ``track_ids`` (N,), too: from 1 on in each
            video, -1 for people who are not tracked.
    """

    frame: Frame
    poses: PoseDataSample


class RMPEInferencer:
    """Multi-person pose inference: detector, top-down pose estimator and pose NMS.

    The pose estimator can be a trained model of this package by its alias, any top-down
    model of MMPose, or an ONNX file of ``rmpe export``. People are cropped as in the
    test pipeline of its config.
    Files are read and prepared for the detector in threads, one batch ahead.

    Args:
        config (str | Path | Config): Name of the pose estimator, such as ``'photo'`` or
            ``'human'``, its config, or an ONNX file, see :func:`load_estimator`.
        checkpoint (str | Path, optional): File or URL of the weights. Defaults to
            ``None``: those in the index; a config is left untrained, for benchmarks.
        detector (Detector | str | Path, optional): The person detector, or its name,
            see :func:`load_detector`. Defaults to ``None``: ``'person'``, the one in
            this package, in calls without boxes.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        precision (str): ``'float32'``, or ``'bfloat16'`` for autocast, which is faster
            for many people on CPUs with AMX or AVX512-BF16. Defaults to
            ``'float32'``.
        pose_nms (dict | str, optional): Parameters of
            :class:`rmpe_plugin.ops.PoseNMSParams`, the name of a preset, or the path
            of a JSON file; ``None`` disables pose NMS. Defaults to
            ``'alphapose-coco'``, the best preset in the comparisons of
            ``docs/pose_nms.md``.
        score_mode (str): Person score, see
            :func:`rmpe_plugin.structures.person_scores`. Defaults to
            ``'bbox_keypoint'``.
        image_batch (int): Images that are processed together. Defaults to 8.
        person_batch (int): Batch size of the pose estimator, in people of one or more
            images of a batch. Defaults to 32.
        track (str | MakeTracker, optional): Tracker that gives people ids, one of
            :data:`rmpe_plugin.tracking.TRACKERS`, or a function that makes one for each
            video. The images of a folder are then the frames of a video. Defaults to
            ``None``: no ids.
        det_every (int): Frames from one detection to the next one. Between them, boxes
            follow the poses that are tracked by ``'pose'``, frame after frame. Defaults
            to 1.
        smooth (bool): Whether the keypoints of tracked people are smoothed, see
            :class:`rmpe_plugin.tracking.PoseSmoother`. Defaults to ``False``.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.

    Raises:
        ImportError: If the tracker needs a package that is not installed.
        OSError: If a file does not exist, or weights cannot be downloaded.
        ValueError: If a setting is invalid, no model has this name, or the checkpoint
            does not fit the config.

    Attributes:
        estimator (PoseEstimator): The pose estimator. ``estimator.runtime`` says which
            library computes it.
        detector (Detector, optional): The detector that was given.

    Example:
        >>> from rmpe_plugin.apis import RMPEInferencer
        >>> inferencer = RMPEInferencer('photo')  # doctest: +SKIP
        >>> inferencer.estimator.runtime  # doctest: +SKIP
        'onnxruntime 1.32.0, CPUExecutionProvider'
        >>> inferencer = RMPEInferencer('human', detector='human')  # doctest: +SKIP
        >>> for frame, poses in inferencer('images/'):  # doctest: +SKIP
        ...     print(frame.name, poses.pred_instances.keypoints.shape)
        images/000000000785.jpg (1, 17, 2)

        >>> # Boxes (N, 4) or (N, 5) of one image instead of a detector
        >>> (result,) = inferencer(image, [boxes])  # doctest: +SKIP
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        detector: Detector | str | Path | None = None,
        *,
        device: str | None = None,
        precision: str = 'float32',
        pose_nms: dict | str | None = DEFAULT_PRESET,
        score_mode: str = 'bbox_keypoint',
        image_batch: int = 8,
        person_batch: int = 32,
        track: str | MakeTracker | None = None,
        det_every: int = 1,
        smooth: bool = False,
        cfg_options: dict | None = None,
    ) -> None:
        _check_settings(score_mode, image_batch, person_batch)
        _check_tracking(track, det_every, smooth)
        self._device = device
        if isinstance(detector, str | Path):
            detector = load_detector(detector, device=device)
        self.detector = detector
        self.score_mode = score_mode
        self.image_batch, self.person_batch = image_batch, person_batch
        self.pose_nms = (
            None if pose_nms is None else PoseNMSParams.from_config(pose_nms)
        )
        self.estimator = load_estimator(
            config, checkpoint, device, precision, cfg_options
        )
        self.det_every, self.smooth = det_every, smooth
        self._make_tracker = (
            tracker_maker(track, self.dataset_meta) if isinstance(track, str) else track
        )

    @cached_property
    def _default_detector(self) -> Detector:
        """The included detector, loaded when it is needed."""
        return load_detector(device=self._device)

    @property
    def dataset_meta(self) -> dict:
        """MMPose's description of the keypoints that the model predicts."""
        return self.estimator.dataset_meta

    def __call__(
        self, inputs: Inputs | Frames, boxes: Boxes | None = None
    ) -> Iterator[PoseResult]:
        """Predict the poses of each frame.

        Args:
            inputs (Inputs | Frames): Images, videos or cameras, see :class:`Frames`.
            boxes (Boxes, optional): Person boxes instead of a detector: the path of a
                JSON file of COCO results or annotations, whose boxes belong to images
                by file name, or without names by image id (see
                :func:`~rmpe_plugin.inference.image_id_of`); or, by image id or in the
                order of the images, arrays (N, 5) of xyxy boxes and scores in pixels,
                or (N, 4), whose scores are 1. Defaults to ``None``.

        Returns:
            Iterator[PoseResult]: One item for each frame, in order. A frame that cannot
            be read has an ``error`` and no poses.

        Raises:
            ValueError: If there are a detector and boxes, if a box is invalid, or none
                belongs to any image; with tracking also if the images of a folder do
                not follow each other.
        """
        frames = inputs if isinstance(inputs, Frames) else Frames(inputs)
        tracker = None
        if self._make_tracker is not None:
            _check_sequences(frames)
            tracker = PeopleTracker(self._make_tracker, self.smooth, self.det_every)
        if boxes is None:
            detector = self.detector or self._default_detector
            if tracker is not None and self.det_every > 1:
                return self._follow(frames, detector, tracker)
            return self._predict(frames, detector, None, tracker)
        if self.detector is not None:
            raise ValueError('either a detector or boxes can be given, got both')
        if self.det_every > 1:
            raise ValueError(f'det_every={self.det_every} needs a detector, got boxes')
        return self._predict(frames, None, boxes_by_image(boxes, frames), tracker)

    def _predict(
        self,
        frames: Frames,
        detector: Detector | None,
        boxes: Mapping[int | str, InstanceData] | None,
        tracker: PeopleTracker | None,
    ) -> Iterator[PoseResult]:
        """Predict the poses, one batch of frames after another."""
        batches = detect_frames(detector, frames.reads(), self.image_batch)
        with closing(batches):
            for batch, people in batches:
                if boxes is not None:
                    people = [_boxes_of(frame, boxes) for frame in batch]
                poses = self.suppress(batch, self.estimate(batch, people))
                for frame, sample in zip(batch, poses, strict=True):
                    if tracker is not None:
                        tracker.update(frame, sample.pred_instances)
                    yield PoseResult(frame, sample)

    def _follow(
        self, frames: Frames, detector: Detector, tracker: PeopleTracker
    ) -> Iterator[PoseResult]:
        """Predict the poses frame after frame, each in boxes of the one before."""
        batches = detect_frames(None, frames.reads(), self.image_batch)
        with closing(batches):
            for frame in (frame for batch, _ in batches for frame in batch):
                people = tracker.predict_boxes(frame)
                if people is None:
                    read = partial(_identity, frame)
                    ((_, (people,)),) = detect_frames(detector, [read], 1)
                (sample,) = self.suppress([frame], self.estimate([frame], [people]))
                tracker.update(frame, sample.pred_instances)
                yield PoseResult(frame, sample)

    def estimate(
        self, frames: list[Frame], people: list[InstanceData]
    ) -> list[InstanceData]:
        """Estimate the pose of each person, without pose NMS.

        Args:
            frames (list[Frame]): The frames.
            people (list[InstanceData]): ``bboxes`` and ``bbox_scores`` of each frame.

        Returns:
            list[InstanceData]: The poses of each frame, in the order of the boxes.
        """
        ends = np.cumsum([len(boxes) for boxes in people], dtype=int)
        if not len(ends) or ends[-1] == 0:
            return [self._scored(boxes, self._no_poses()) for boxes in people]
        poses = self.estimator.estimate(
            [frame.image for frame in frames], people, self.person_batch
        )
        everyone = self._scored(InstanceData.cat(people), poses)
        starts = np.append(0, ends[:-1])
        return [everyone[i:j] for i, j in zip(starts, ends, strict=True)]

    def _no_poses(self) -> InstanceData:
        """Poses of no person."""
        number = self.dataset_meta['num_keypoints']
        return pose_instances(
            np.zeros((0, number, 2), np.float32), np.zeros((0, number), np.float32)
        )

    def _scored(self, boxes: InstanceData, poses: InstanceData) -> InstanceData:
        """Add boxes and person scores to poses."""
        poses.bboxes, poses.bbox_scores = boxes.bboxes, boxes.bbox_scores
        poses.scores = person_scores(poses, self.score_mode)
        return poses

    def suppress(
        self, frames: list[Frame], poses: list[InstanceData]
    ) -> list[PoseDataSample]:
        """Sort the poses of each frame by decreasing score and apply pose NMS.

        Args:
            frames (list[Frame]): The frames.
            poses (list[InstanceData]): Their poses, as :meth:`estimate` returns them.

        Returns:
            list[PoseDataSample]: The kept poses as ``pred_instances``.
        """
        kept = [people[np.argsort(-people.scores, kind='stable')] for people in poses]
        if self.pose_nms is not None:
            scores = [people.scores for people in kept]
            kept = suppress_instances(kept, self.pose_nms, scores)
        return [
            PoseDataSample(
                metainfo=dict(img_id=frame.image_id, img_path=frame.name),
                pred_instances=people,
            )
            for frame, people in zip(frames, kept, strict=True)
        ]


def _boxes_of(frame: Frame, boxes: Mapping[int | str, InstanceData]) -> InstanceData:
    """The given boxes of a frame. A frame without an image has none."""
    found = None if frame.image is None else boxes.get(frame.image_id)
    return empty_boxes() if found is None else found


def _identity(frame: Frame) -> Frame:
    return frame


def _check_tracking(
    track: str | MakeTracker | None, det_every: int, smooth: bool
) -> None:
    """Raise if a setting of the tracking is invalid, before a model is loaded."""
    if isinstance(track, str):
        check_tracker(track)
    if det_every < 1:
        raise ValueError(f'det_every must be at least 1, got {det_every}')
    can_follow = (
        hasattr(track(), 'predict_boxes') if callable(track) else track == 'pose'
    )
    if det_every > 1 and not can_follow:
        raise ValueError(
            f"det_every={det_every} needs track='pose', or a tracker with "
            f'predict_boxes, for the boxes between detections, got track={track!r}'
        )
    if smooth and track is None:
        raise ValueError('smooth=True needs a tracker, got track=None')


def _check_sequences(frames: Frames) -> None:
    """Raise a ValueError if the images of a folder do not follow each other."""
    runs = [name for name, _ in groupby(source.sequence for source in frames.sources)]
    repeated = [name for name, number in Counter(runs).items() if number > 1]
    if repeated:
        raise ValueError(
            'tracking needs the frames of a video in order: other images or videos are '
            f'between the images of {repeated[0]}'
        )


def _check_settings(score_mode: str, image_batch: int, person_batch: int) -> None:
    """Raise a ValueError if a setting is invalid."""
    if score_mode not in SCORE_MODES:
        raise ValueError(
            f'score_mode must be one of {[*SCORE_MODES]}, got {score_mode!r}'
        )
    for name, value in dict(image_batch=image_batch, person_batch=person_batch).items():
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
