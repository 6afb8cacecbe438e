# SPDX-License-Identifier: Apache-2.0
"""Time the fit of a proposal model, and compare PGPG with MMPose's RandomBBoxTransform.

The model is fitted to synthetic poses. Their detections are boxes with offsets from a
Gaussian mixture.

Example:
    python -m experiments.benchmarks.proposals --people 150000
"""

import argparse
from functools import partial
from time import perf_counter

import numpy as np
from mmpose.datasets.transforms import RandomBBoxTransform
from rich.progress import track

from experiments.benchmarks.side_by_side import compare
from rmpe_plugin.datasets.synthetic.body import sample_body
from rmpe_plugin.datasets.transforms import PoseGuidedProposal
from rmpe_plugin.ops import GaussianMixture, ProposalModel
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--people',
        type=at_least(1),
        default=20000,
        help='people to fit to (default: 20000)',
    )
    parser.add_argument('--rounds', type=at_least(1), default=20, help='default: 20')
    return parser.parse_args()


def sample_people(number: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Keypoints, visibility, boxes and detections of people 100 pixels tall."""
    poses = np.stack(
        [sample_body(rng, 1.0).joints[:, :2] for _ in track(range(number), 'sampling')]
    )
    keypoints = 100 * poses + 200
    visible = rng.random((number, 17)) < 0.9
    boxes = np.concatenate((keypoints.min(axis=1), keypoints.max(axis=1)), axis=1)
    offsets = GaussianMixture(
        [0.7, 0.3], [[0, 0, 0, 0], [0.1, 0, -0.1, -0.1]], [np.eye(4) / 900] * 2
    )
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return keypoints, visible, boxes, boxes + sides * offsets.sample((number,), rng)


def main() -> None:
    args = parse_args()
    people = sample_people(args.people, np.random.default_rng(0))
    start = perf_counter()
    model = ProposalModel.fit(*people, track=partial(track, description='fitting'))
    seconds = perf_counter() - start
    table_console().print(
        f'fitted to {args.people} people in {seconds:.1f} s: {len(model.people)} '
        'atomic poses'
    )

    fitted = PoseGuidedProposal('alphapose')
    fitted.model = model
    keypoints, visible, boxes = (values[:1].astype(np.float32) for values in people[:3])

    def propose(transform):
        return lambda: transform.transform(
            dict(
                bbox=boxes,
                keypoints=keypoints,
                keypoints_visible=visible,
                img_shape=(400, 400),
            )
        )

    jitter = RandomBBoxTransform()
    crop = dict(bbox_center=boxes[:, :2], bbox_scale=boxes[:, 2:] - boxes[:, :2])
    functions = {
        'RandomBBoxTransform': lambda: jitter.transform(dict(crop)),
        'PoseGuidedProposal, fitted': propose(fitted),
        'PoseGuidedProposal, alphapose': propose(PoseGuidedProposal('alphapose')),
    }
    compare('one person', functions, args.rounds)


if __name__ == '__main__':
    main()
