# SPDX-License-Identifier: Apache-2.0
"""Time one trial of tools/tune_pose_nms.py at the size of COCO val2017, on one core.

Example:
    python tools/benchmarks/pose_nms_trial.py --images 5000 --poses 20
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from side_by_side import compare

from rmpe_plugin.ops import PoseNMSParams

sys.path.append(str(Path(__file__).resolve().parents[1]))
from tune_pose_nms import Part, no_nms, pose_nms  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--poses', type=int, default=20, help='predicted in each')
    parser.add_argument('--people', type=int, default=2, help='true ones in each')
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def draw_part(rng: np.random.Generator, images: int, poses: int, people: int) -> Part:
    """Truths at random, and predictions around them."""
    truth = dict(images=[], annotations=[], categories=[dict(id=1, name='person')])
    found = []
    for image in range(images):
        truth['images'].append(
            dict(id=image, file_name=f'{image}.jpg', width=640, height=480)
        )
        bodies = rng.uniform(50, 400, (people, 1, 2)) + rng.normal(
            0, 30, (people, 17, 2)
        )
        for body in bodies:
            corner, size = body.min(axis=0), np.ptp(body, axis=0)
            person = dict(
                image_id=image,
                category_id=1,
                bbox=[*corner.tolist(), *size.tolist()],
                keypoints=np.insert(body, 2, 2, axis=1).ravel().tolist(),
            )
            truth['annotations'].append(
                dict(
                    person,
                    id=len(truth['annotations']) + 1,
                    iscrowd=0,
                    num_keypoints=17,
                    area=float(size.prod()),
                )
            )
        errors = rng.normal(0, 1, (poses, 17, 2)) * rng.uniform(1, 15, (poses, 1, 1))
        which = rng.integers(people, size=poses)
        recent = truth['annotations'][-people:]
        found.append(
            [
                dict(
                    recent[i],
                    keypoints=np.insert(bodies[i] + e, 2, 1, axis=1).ravel().tolist(),
                    score=float(rng.random()),
                )
                for i, e in zip(which, errors, strict=True)
            ]
        )
    return Part(truth, np.full(17, 0.07), found)


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    part = draw_part(np.random.default_rng(0), args.images, args.poses, args.people)
    params = PoseNMSParams.preset('rmpe-paper')
    everybody, kept = no_nms(part), pose_nms(part, params)
    functions = {
        'one trial': lambda: part.ap(pose_nms(part, params)),
        'of it pose NMS': lambda: pose_nms(part, params),
        f'of it AP of the {len(kept)} left': lambda: part.ap(kept),
        f'AP of all {len(everybody)}': lambda: part.ap(everybody),
    }
    title = f'{args.images} images of {args.poses} poses, one thread'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
