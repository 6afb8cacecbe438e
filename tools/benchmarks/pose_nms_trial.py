# SPDX-License-Identifier: Apache-2.0
"""Time one trial of tools/tune_pose_nms.py on one core, by default for 5,000 images.

Example:
    python tools/benchmarks/pose_nms_trial.py --images 5000 --poses 20
"""

import argparse

import numpy as np
import torch
from side_by_side import compare

from rmpe_plugin.learning.evaluation_split import EvaluationSplit
from rmpe_plugin.learning.nms_methods import no_nms, parametric_nms
from rmpe_plugin.ops import PoseNMSParams


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=5000, help='images')
    parser.add_argument('--poses', type=int, default=20, help='predictions per image')
    parser.add_argument('--people', type=int, default=2, help='persons per image')
    parser.add_argument('--rounds', type=int, default=3, help='timing rounds')
    return parser.parse_args()


def random_person(rng: np.random.Generator, image_id: int) -> dict:
    """Annotation of a person with 17 visible keypoints at random positions."""
    keypoints = rng.uniform(50, 400, (1, 2)) + rng.normal(0, 30, (17, 2))
    corner, size = keypoints.min(axis=0), np.ptp(keypoints, axis=0)
    return dict(
        image_id=image_id,
        category_id=1,
        bbox=[*corner.tolist(), *size.tolist()],
        keypoints=np.insert(keypoints, 2, 2, axis=1).ravel().tolist(),
        iscrowd=0,
        num_keypoints=17,
        area=float(size.prod()),
    )


def random_prediction(rng: np.random.Generator, person: dict) -> dict:
    """Prediction of a person with a random error of its keypoints."""
    keypoints = np.reshape(person['keypoints'], (17, 3))[:, :2]
    keypoints = keypoints + rng.normal(0, 1, (17, 2)) * rng.uniform(1, 15)
    return dict(
        image_id=person['image_id'],
        category_id=1,
        bbox=person['bbox'],
        keypoints=np.insert(keypoints, 2, 1, axis=1).ravel().tolist(),
        score=float(rng.random()),
    )


def random_split(
    rng: np.random.Generator, images: int, poses: int, people: int
) -> EvaluationSplit:
    """Images with random annotations, and predictions near them."""
    dataset = dict(images=[], annotations=[], categories=[dict(id=1, name='person')])
    predictions = {}
    for image in range(images):
        dataset['images'].append(
            dict(id=image, file_name=f'{image}.jpg', width=640, height=480)
        )
        persons = [random_person(rng, image) for _ in range(people)]
        for person in persons:
            annotation_id = len(dataset['annotations']) + 1
            dataset['annotations'].append(dict(person, id=annotation_id))
        predicted = rng.integers(people, size=poses)
        predictions[image] = [random_prediction(rng, persons[i]) for i in predicted]
    return EvaluationSplit(dataset, np.full(17, 0.07), predictions)


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    split = random_split(np.random.default_rng(0), args.images, args.poses, args.people)
    params = PoseNMSParams.preset('rmpe-paper')
    predictions, kept = no_nms(split), parametric_nms(split, params)
    ap = split.average_precision
    functions = {
        'one trial': lambda: ap(parametric_nms(split, params)),
        'its pose NMS': lambda: parametric_nms(split, params),
        f'its AP of {len(kept)} kept poses': lambda: ap(kept),
        f'AP of all {len(predictions)} poses': lambda: ap(predictions),
    }
    title = f'{args.images} images of {args.poses} poses, one thread'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
