# SPDX-License-Identifier: Apache-2.0
"""Tune trackers on some videos and evaluate them on others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.fileio import dump, load
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rmpe_plugin.evaluation.functional.tracking import combine_videos
from rmpe_plugin.evaluation.metrics import PoseTrackingMetric
from rmpe_plugin.ops import bootstrap_weights, oks_variances, pose_oks
from rmpe_plugin.structures import (
    AnnotatedVideo,
    area_of,
    is_evaluated,
    labelled_keypoints,
)

from .data import FPS, KINDS, Poses, poses_of, render
from .methods import METHODS, SIGMAS, Method, track

BOX_TRACKERS = ('ByteTrack', 'OC-SORT', 'BoT-SORT')
METRICS = ('HOTA', 'AssA', 'MOTA', 'IDF1', 'IDSW')
SAMPLES = 500
# After this time without a detection, a person who comes back has a new id, seconds.
PATIENCE = 2.0


class Videos(NamedTuple):
    """The videos of a seed.

    Attributes:
        annotated (list[AnnotatedVideo]): People.
        images (list[list[np.ndarray]]): Images of each video.
        poses (dict[str, list[Poses]]): Poses of each kind and video.
        metric (PoseTrackingMetric): Metric with their annotations.
    """

    annotated: list[AnnotatedVideo]
    images: list[list[np.ndarray]]
    poses: dict[str, list[Poses]]
    metric: PoseTrackingMetric


def load_videos(root: Path, seed: int, number: int) -> Videos:
    """Render videos and predict or simulate poses; finished files are reused.

    Args:
        root (Path): Folder of all seeds.
        seed (int): Seed.
        number (int): Number of videos.

    Returns:
        Videos: The videos and poses.
    """
    annotated = render(root, seed, number)
    poses = {kind: poses_of(root, seed, kind) for kind in KINDS}
    folder = root / f'seed_{seed}'
    metric = load_metric(folder)
    images = [_read(folder / 'videos' / f'test_{i + 1:03d}.mp4') for i in range(number)]
    return Videos(annotated, images, poses, metric)


def load_metric(folder: Path) -> PoseTrackingMetric:
    """Build the metric of the videos of a seed.

    Args:
        folder (Path): Folder of the seed.

    Returns:
        PoseTrackingMetric: The metric.
    """
    ann_file = folder / 'annotations/person_keypoints_test.json'
    metric = PoseTrackingMetric(str(ann_file))
    coco = dict(from_file='configs/_base_/datasets/coco.py')
    metric.dataset_meta = parse_pose_metainfo(coco)
    return metric


def _read(path: Path) -> list[np.ndarray]:
    """All frames of a video."""
    capture, images = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        images.append(frame[1])
    return images


def evaluate(
    videos: Videos, kind: str, method: Method, settings: dict, pose_nms: bool
) -> list[list[dict]]:
    """Track the poses of all videos and count the errors.

    Args:
        videos (Videos): The videos.
        kind (str): Which poses.
        method (Method): The tracker.
        settings (dict): Its settings.
        pose_nms (bool): Whether pose NMS comes first.

    Returns:
        list[list[dict]]: Counts of each video, see ``video_metrics``.
    """
    counts = []
    for i, poses in enumerate(videos.poses[kind]):
        tracked = track(method, settings, poses, videos.images[i], pose_nms)
        counts.append(count(videos, i, tracked))
    return counts


def count(videos: Videos, index: int, tracked: Poses) -> list[dict]:
    """Count the errors of the tracks of one video.

    Args:
        videos (Videos): The videos.
        index (int): Index of the video.
        tracked (Poses): Poses with ``track_ids``.

    Returns:
        list[dict]: See ``video_metrics``.
    """
    frames = zip(videos.annotated[index].people, tracked, strict=True)
    return videos.metric.evaluate_video(
        [
            ([*filter(is_evaluated, people)], poses[poses.track_ids >= 0])
            for people, poses in frames
        ]
    )


def perfect_association(video: AnnotatedVideo, poses: Poses) -> Poses:
    """Give poses the ids of the people, a new one after an absence.

    No tracker without appearance can do better: it shows how many switches the
    absences cause.

    Args:
        video (AnnotatedVideo): The people.
        poses (Poses): Poses of each frame.

    Returns:
        Poses: Copies with ``track_ids``; -1 for poses that no person has.
    """
    last: dict[int, int] = {}
    offset: dict[int, int] = {}
    tracked = []
    for number, (people, frame) in enumerate(zip(video.people, poses, strict=True)):
        people = [*filter(is_evaluated, people)]
        frame = frame.new()
        frame.track_ids = _ids_of(people, frame)
        for i, track_id in enumerate(frame.track_ids.tolist()):
            if track_id < 0:
                continue
            absent = number - last.get(track_id, number)
            offset[track_id] = offset.get(track_id, 0) + (absent > PATIENCE * FPS)
            last[track_id] = number
            frame.track_ids[i] = track_id + 1000 * offset[track_id]
        tracked.append(frame)
    return tracked


def _ids_of(people: list[dict], poses: InstanceData) -> np.ndarray:
    """Id of the person of each pose, the best OKS first; -1 below an OKS of 0.3."""
    ids = np.full(len(poses.keypoints), -1)
    if not len(people):
        return ids
    areas = np.array([area_of(person) for person in people])
    gt = labelled_keypoints(people, len(SIGMAS))
    oks = pose_oks(poses.keypoints, gt, oks_variances(areas, SIGMAS))
    while oks.size and oks.max() > 0.3:
        i, j = np.unravel_index(oks.argmax(), oks.shape)
        ids[i] = people[j]['track_id']
        oks[i], oks[:, j] = -1, -1
    return ids


def tune(
    videos: Videos, cache: Path, wrap: Callable[[Iterable], Iterable] = iter
) -> dict[str, dict]:
    """Choose the settings of each tracker with the best mean HOTA of all kinds.

    Args:
        videos (Videos): Videos of the tuning seed.
        cache (Path): File of finished settings.
        wrap (Callable): Wraps the sequence of methods, to show progress. Defaults to
            ``iter``.

    Returns:
        dict[str, dict]: Settings of each tracker.
    """
    chosen: dict[str, dict] = load(cache) if cache.is_file() else {}
    for method in wrap(METHODS):
        if method.name in chosen:
            continue
        hota = [
            np.mean([
                combine_videos(evaluate(videos, kind, method, settings, True))['HOTA']
                for kind in KINDS
            ])
            for settings in method.settings()
        ]  # fmt: skip
        chosen[method.name] = method.settings()[int(np.argmax(hota))]
        dump(chosen, cache)
    return chosen


def summarise(counts: list[list[dict]], best: list[list[dict]]) -> dict:
    """Compute metrics with bootstrap intervals over videos.

    Args:
        counts (list[list[dict]]): Counts of each video.
        best (list[list[dict]]): Those of the best box tracker.

    Returns:
        dict: Each metric (``IDSW`` per video), its 95 % interval, and the interval of
        the difference in HOTA and in switches to the best box tracker.
    """
    weights = bootstrap_weights(len(counts), SAMPLES, seed=0)
    samples = _resample(counts, weights)
    others = _resample(best, weights)
    total = combine_videos(counts)
    result = {name: total[name] for name in METRICS}
    result['IDSW'] /= len(counts)
    for name in METRICS:
        scale = len(counts) if name == 'IDSW' else 1
        result[f'{name}_interval'] = _interval(samples[name] / scale)
        result[f'{name}_difference'] = _interval((samples[name] - others[name]) / scale)
    return result


def _resample(counts: list[list[dict]], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics (B,) of bootstrap samples with weights (B, V)."""
    samples = []
    for row in weights:
        chosen = np.repeat(np.arange(len(counts)), row)
        samples.append(combine_videos([counts[i] for i in chosen]))
    return {name: np.array([s[name] for s in samples]) for name in METRICS}


def _interval(values: np.ndarray) -> list[float]:
    """95 % of the values."""
    return np.quantile(values, [0.025, 0.975]).tolist()
