# SPDX-License-Identifier: Apache-2.0
r"""Detect people in every N-th frame only, and measure HOTA and speed.

Between detections the boxes come from the tracked poses. Uses the quickstart's models
(run tools/quickstart.sh first) on the videos of ``python -m experiments.tracking``.
Writes det_every.json to --work-dir.

Example:
    python -m experiments.tracking.det_every --every 1 2 4 8
"""

import argparse
import time
from pathlib import Path

from mmengine.fileio import dump
from rich.table import Table

from experiments import quickstart
from experiments.tracking.data import SCORE_THR, render
from experiments.tracking.study import load_metric
from rmpe_plugin.apis import RMPEInferencer, load_detector
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/tracking'))
    parser.add_argument('--seed', type=at_least(0), default=0)
    parser.add_argument('--videos', type=at_least(1), default=4)
    parser.add_argument(
        '--every',
        type=at_least(1),
        nargs='+',
        default=[1, 2, 4, 8],
        help='frames from one detection to the next (default: 1 2 4 8)',
    )
    return parser.parse_args()


def measure(args: argparse.Namespace, every: int) -> dict[str, float]:
    """Track the videos, and measure the CPU time of detection, poses and tracking."""
    checkpoint = quickstart.last_checkpoint
    config, pose = quickstart.DETECTOR, quickstart.POSE
    inferencer = RMPEInferencer(
        pose,
        checkpoint(pose, quickstart.POSE_DIR),
        load_detector(
            config, checkpoint(config, quickstart.DETECTOR_DIR), score_thr=SCORE_THR
        ),
        track='pose',
        det_every=every,
    )
    videos = render(args.work_dir, args.seed, args.videos)
    folder = args.work_dir / f'seed_{args.seed}'
    poses = {}
    start = time.process_time()
    for i, video in enumerate(videos):
        results = inferencer(folder / 'videos' / f'test_{i + 1:03d}.mp4')
        for image, result in zip(video.images, results, strict=True):
            poses[image['id']] = result.poses.pred_instances
    seconds = time.process_time() - start
    metrics = load_metric(folder).evaluate_poses(poses)
    people = sum(len(frame) for frame in poses.values())
    return dict(
        every=every,
        people=people / len(poses),
        frames_per_second=len(poses) / seconds,
        people_per_second=people / seconds,
        **metrics,
    )


def main() -> None:
    args = parse_args()
    rows = [measure(args, every) for every in args.every]
    dump(rows, args.work_dir / 'det_every.json')
    table = Table(*rows[0], title='Detection in every N-th frame; per CPU second')
    for row in rows:
        table.add_row(*(f'{value:.3g}' for value in row.values()))
    table_console().print(table)


if __name__ == '__main__':
    main()
