# SPDX-License-Identifier: Apache-2.0
"""Videos of groups, and the poses that are tracked: predicted or simulated."""

from pathlib import Path

import numpy as np
from mmengine.fileio import dump, load
from mmengine.structures import InstanceData

from experiments import quickstart
from rmpe_plugin.apis import RMPEInferencer, load_detector
from rmpe_plugin.datasets.synthetic import write_group_videos
from rmpe_plugin.structures import AnnotatedVideo, person_scores, read_tracks

FPS = 12.5
FRAMES = 100
PEOPLE = (2, 6)
# Detections that score less are not given to any tracker.
SCORE_THR = 0.2
#: What is tracked. Only the first is without simulation.
KINDS = dict(
    detector="quickstart's detector and CPN",
    boxes="simulated boxes, quickstart's CPN",
    clean='simulated boxes and poses',
    confused='simulated boxes and poses, occluded people have the pose in front',
)

Poses = list[InstanceData]


def render(root: Path, seed: int, videos: int) -> list[AnnotatedVideo]:
    """Render the videos of a seed, if they are missing, and read their annotations.

    Args:
        root (Path): Folder of all seeds.
        seed (int): Seed.
        videos (int): Number of videos.

    Returns:
        list[AnnotatedVideo]: The videos.
    """
    folder = root / f'seed_{seed}'
    annotations = folder / 'annotations/person_keypoints_test.json'
    # The annotations are written last.
    if not annotations.is_file():
        write_group_videos(
            folder, dict(test=videos), PEOPLE, FRAMES, fps=FPS, seed=seed
        )
    return read_tracks(annotations)[1]


def poses_of(root: Path, seed: int, kind: str) -> list[Poses]:
    """Predict or simulate the poses of each frame, without pose NMS.

    Args:
        root (Path): Folder of all seeds.
        seed (int): Seed of rendered videos.
        kind (str): A key of :data:`KINDS`.

    Returns:
        list[Poses]: Poses of each frame of each video.
    """
    folder = root / f'seed_{seed}'
    path = folder / f'{kind}.pkl'
    if not path.is_file():
        rng = np.random.default_rng([seed, [*KINDS].index(kind)])
        _, videos = read_tracks(folder / 'annotations/person_keypoints_test.json')
        if kind in ('clean', 'confused'):
            poses = [simulate(video, kind == 'confused', rng) for video in videos]
        else:
            poses = _predict(folder, videos, kind, rng)
        dump([[frame.to_dict() for frame in video] for video in poses], path)
    return [[InstanceData(**frame) for frame in video] for video in load(path)]


def _predict(
    folder: Path, videos: list[AnnotatedVideo], kind: str, rng: np.random.Generator
) -> list[Poses]:
    """Poses of the quickstart's CPN in detections or in simulated boxes."""
    weights = quickstart.last_checkpoint
    detector = None
    if kind == 'detector':
        config = quickstart.DETECTOR
        checkpoint = weights(config, quickstart.DETECTOR_DIR)
        detector = load_detector(config, checkpoint, score_thr=SCORE_THR)
    inferencer = RMPEInferencer(
        quickstart.POSE,
        weights(quickstart.POSE, quickstart.POSE_DIR),
        detector,
        pose_nms=None,
    )
    poses = []
    for i, video in enumerate(videos):
        boxes = None
        if detector is None:
            simulated = (_simulate_boxes(people, rng)[1] for people in video.people)
            boxes = dict(enumerate(simulated))
        results = inferencer(folder / 'videos' / f'test_{i + 1:03d}.mp4', boxes)
        poses.append([result.poses.pred_instances for result in results])
    return poses


def simulate(video: AnnotatedVideo, confused: bool, rng: np.random.Generator) -> Poses:
    """Simulate the poses of a top-down model; no model is run.

    Keypoints have an error of 3 % of the person's size, occluded ones the double, and
    lower scores. Boxes have an error of 4 % of their size and a score that decreases
    with occlusion. People are missed the more often the more of them is occluded.

    Args:
        video (AnnotatedVideo): The people.
        confused (bool): Whether the pose in the box of a person of whom less than 60 %
            is visible is that of the person in front, with a probability of 70 %.
        rng (np.random.Generator): Random generator.

    Returns:
        Poses: Poses of each frame.
    """
    return [_simulate_frame(people, confused, rng) for people in video.people]


def _simulate_boxes(
    people: list[dict], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which people are detected (G,), and their boxes with scores (N, 5), xyxy."""
    visible = np.array([person['visible'] for person in people])
    kept = rng.random(len(people)) > 0.01 + 0.6 * (1 - visible) ** 2
    xywh = np.array([person['bbox'] for person in people], float).reshape(-1, 4)
    boxes = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
    boxes += 0.04 * np.tile(xywh[:, 2:], 2) * rng.normal(size=boxes.shape)
    scores = (0.4 + 0.5 * visible + rng.normal(0, 0.05, len(people))).clip(0.05, 0.99)
    return kept, np.column_stack((boxes, scores))[kept]


def _simulate_frame(
    people: list[dict], confused: bool, rng: np.random.Generator
) -> InstanceData:
    """Boxes and poses of one frame."""
    kept, boxes = _simulate_boxes(people, rng)
    triples = np.array([p['keypoints'] for p in people], float).reshape(-1, 17, 3)
    xywh = np.array([person['bbox'] for person in people], float).reshape(-1, 4)
    v = triples[..., 2].astype(int)
    # Keypoints outside the image are predicted anywhere in the box.
    centres = xywh[:, None, :2] + xywh[:, None, 2:] / 2
    keypoints = np.where(v[..., None] > 0, triples[..., :2], centres)
    size = np.sqrt(xywh[:, 2:].prod(axis=1))[:, None]
    error = size * np.choose(v, [0.2, 0.06, 0.03])
    scores = np.choose(v, [0.1, 0.5, 0.85])
    if confused:
        source = _in_front(people, xywh, rng)
        keypoints, error, scores = keypoints[source], error[source], scores[source]
    keypoints = keypoints + error[..., None] * rng.normal(size=keypoints.shape)
    scores = (scores + rng.normal(0, 0.07, scores.shape)).clip(0.02, 0.99)
    poses = InstanceData(
        keypoints=keypoints[kept],
        keypoint_scores=scores[kept],
        bboxes=boxes[:, :4],
        bbox_scores=boxes[:, 4],
    )
    poses.scores = person_scores(poses)
    return poses


def _in_front(
    people: list[dict], xywh: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Whose pose is predicted in each box (G,): occluded people's is that in front."""
    low, high = xywh[:, :2], xywh[:, :2] + xywh[:, 2:]
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    shared = shared.clip(0).prod(axis=-1) / xywh[:, 2:].prod(axis=-1)[:, None]
    # Nearer people reach further down.
    nearer = high[:, 1] > high[:, 1, None]
    covered = np.where(nearer, shared, 0.0)
    visible = np.array([person['visible'] for person in people])
    changed = (visible < 0.6) & (covered.max(axis=1, initial=0) > 0.3)
    changed &= rng.random(len(people)) < 0.7
    own = np.arange(len(people))
    return np.where(changed, covered.argmax(axis=1), own) if len(people) else own
