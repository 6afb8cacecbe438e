# SPDX-License-Identifier: Apache-2.0
"""Lift synthetic videos to three dimensions with the quickstart's CPN.

Renders videos, predicts poses frame by frame, writes them in MMPose's format, trains
MMPose's VideoPoseLift on them and tests it on held-out videos. Writes to
data/synthetic_videos and work_dirs/lifting. A run that was interrupted continues where
it stopped.

Example:
    python -m experiments.lifting_example
"""

import sys
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.apis import init_model
from mmpose.evaluation.functional import keypoint_mpjpe
from mmpose.registry import DATASETS
from rich.console import Console
from rich.table import Table

from . import quickstart
from .lifting_animation import write_animation
from .quickstart import last_checkpoint, training
from .steps import Step, forget_steps, main, rmpe, run_program

DATA = Path('data/synthetic_videos')
LIFTER = quickstart.CONFIGS / 'video-pose-lift_tcn-27frm_synthetic.py'
WORK_DIR = Path('work_dirs/lifting')
LOGS = WORK_DIR / 'logs'
ANIMATION = WORK_DIR / 'lifting.gif'
VIDEOS = dict(train=40, test=8)
BATCH = 128


def annotation(split: str) -> Path:
    """MMPose's annotation of a split."""
    return DATA / 'annotation_body3d' / f'h36m_{split}.npz'


def detections(split: str) -> Path:
    """Detections of a split, ``keypoint_2d_det_file``."""
    return DATA / 'joint_2d_det_files' / f'cpn_{split}.npy'


def models() -> list[tuple[Path, Path]]:
    """Config and weights of the quickstart's CPN and detector."""
    trained = (
        (quickstart.POSE, quickstart.POSE_DIR),
        (quickstart.DETECTOR, quickstart.DETECTOR_DIR),
    )
    return [(config, last_checkpoint(config, folder)) for config, folder in trained]


def make_steps(seed: int) -> list[Step]:
    """Return the steps, which run one after another."""
    numbers = [f'--{split}={number}' for split, number in VIDEOS.items()]
    pose, detector = models()
    poses = WORK_DIR / 'poses'
    steps = [
        Step('render', 'rendering videos', rmpe(
            'synthesize videos', DATA, *numbers)),
        Step('poses', 'predicting poses with a CPN', rmpe(
            'predict', *pose, DATA / 'videos', '--det', *detector,
            '--out', poses, '--no-images', '--image-batch', 32)),
    ]  # fmt: skip
    for split in VIDEOS:
        coco = DATA / 'annotations' / f'{split}.json'
        steps += [
            Step(f'convert_{split}', f'converting annotations: {split}', rmpe(
                'convert h36m', annotation(split),
                DATA / 'annotation_body3d' / 'cameras.pkl', '--out', coco)),
            Step(f'export_{split}', f'writing poses for lifting: {split}', rmpe(
                'export-lifting', poses / 'results.json', '--ann', coco,
                '--format', 'mmpose', '--layout', 'h36m', '--person', 'best',
                '--missing', 'interpolate', '--out', detections(split))),
        ]  # fmt: skip
    title = "training MMPose's VideoPoseLift"
    steps.append(training('train', title, LIFTER, WORK_DIR, seed))
    return steps


def lift() -> tuple[np.ndarray, np.ndarray]:
    """Lift the frames of the test videos.

    Returns:
        tuple[np.ndarray, np.ndarray]: Predicted and ground-truth joints (N, 17, 3),
        metres.
    """
    config, checkpoint = Config.fromfile(LIFTER), last_checkpoint(LIFTER, WORK_DIR)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = init_model(config, str(checkpoint), device='cpu')
        frames = DATASETS.build(config.test_dataloader.dataset)
    predicted, expected = [], []
    for start in range(0, len(frames), BATCH):
        batch = [frames[i] for i in range(start, min(start + BATCH, len(frames)))]
        for sample in model.test_step(pseudo_collate(batch)):
            predicted.append(sample.pred_instances.keypoints.reshape(17, 3))
            expected.append(sample.gt_instances.lifting_target.reshape(17, 3))
    return np.stack(predicted), np.stack(expected)


def mean_pose(expected: np.ndarray) -> np.ndarray:
    """The mean pose of the training videos at the pelvis of each pose (N, 17, 3)."""
    joints = np.load(annotation('train'), allow_pickle=False)['S'][..., :3]
    mean = (joints - joints[:, :1]).mean(axis=0)
    return mean + expected[:, :1]


def result_table(predicted: np.ndarray, expected: np.ndarray) -> Table:
    """Tabulate the errors of the test videos."""
    table = Table('joints', 'MPJPE', 'P-MPJPE', title='Held-out videos, millimetres')
    mask = np.ones(expected.shape[:2], bool)
    rows = {
        'mean pose of the training videos': mean_pose(expected),
        "VideoPoseLift on the CPN's poses": predicted,
    }
    for name, joints in rows.items():
        errors = [
            keypoint_mpjpe(joints, expected, mask, alignment) * 1e3
            for alignment in ('none', 'procrustes')
        ]
        table.add_row(name, *(f'{error:.0f}' for error in errors))
    return table


def median_video(predicted: np.ndarray, expected: np.ndarray) -> tuple[str, np.ndarray]:
    """Name and frames of the test video with the median error."""
    with np.load(annotation('test'), allow_pickle=False) as data:
        names = np.array([str(name).rpartition('_')[0] for name in data['imgname']])
    errors = np.linalg.norm(predicted - expected, axis=-1).mean(axis=-1)
    videos = sorted(set(names), key=lambda name: errors[names == name].mean())
    name = videos[len(videos) // 2]
    return name, np.flatnonzero(names == name)


def report(console: Console) -> None:
    """Lift the test videos, print the errors and draw one video."""
    predicted, expected = lift()
    console.print(result_table(predicted, expected))
    video, frames = median_video(predicted, expected)
    poses = np.load(detections('test'), allow_pickle=False)
    path = DATA / 'videos' / f'{video}.mp4'
    write_animation(
        ANIMATION, path, *(array[frames] for array in (poses, predicted, expected))
    )
    console.print(f'Animation: {ANIMATION}, {video}\nLogs: {LOGS}', highlight=False)


def run(seed: int, restart: bool, console: Console) -> int:
    """Run the steps that are not finished, and print the errors.

    Args:
        seed (int): Random seed of the training.
        restart (bool): Whether to run finished steps again.
        console (Console): Where progress and results are printed.

    Returns:
        int: Exit status; 130 after an interrupt.
    """
    missing = [path for _, path in models() if not path.is_file()]
    if missing:
        console.print(
            f'{missing[0]} does not exist: run bash tools/quickstart.sh first',
            style='red', markup=False, soft_wrap=True,
        )  # fmt: skip
        return 1
    if restart:
        forget_steps(LOGS)
        for split in VIDEOS:
            detections(split).unlink(missing_ok=True)
    steps = [[step] for step in make_steps(seed)]
    return run_program(steps, LOGS, dict(seed=seed, **VIDEOS), report, console)


if __name__ == '__main__':
    sys.exit(main(__doc__, run))
