# SPDX-License-Identifier: Apache-2.0
"""Time the stages of RMPE from an image to its poses, and people per second.

The default models are a CPN-ResNet-50 with an SSTN at 256x192 and an RTMDet-tiny at
640x640, both untrained. Networks take as long as trained ones, but the detector's NMS
has fewer boxes. Images of 640x480 are noise, with a given number of random boxes each.

Example:
    python -m experiments.benchmarks.stages --images 4 --people 5 --rounds 10
"""

import argparse
from statistics import median

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.structures import InstanceData
from rich.table import Table

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    device_name,
    measure,
)
from experiments.benchmarks.workloads import CONFIGS, SSTN
from rmpe_plugin.apis import Frame, PersonDetector, RMPEInferencer
from rmpe_plugin.inference import normalise
from rmpe_plugin.ops import invert_affine
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

DETECTOR = CONFIGS / 'detection/coco/rtmdet-tiny_8xb32-300e_coco-person.py'
POSES_OF_BOXES = 'poses of given boxes'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default=SSTN, help='config of a CPN with an SSTN')
    parser.add_argument('--checkpoint')
    parser.add_argument('--det-config', default=DETECTOR)
    parser.add_argument('--det-checkpoint')
    parser.add_argument(
        '--images', type=at_least(1), default=4, help='images per batch (default: 4)'
    )
    parser.add_argument(
        '--people', type=at_least(1), default=5, help='people per image (default: 5)'
    )
    parser.add_argument('--rounds', type=at_least(1), default=10, help='default: 10')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction,
        default={'model.test_cfg.flip_test': False},
        help='as in train.py (default: model.test_cfg.flip_test=False)',
    )  # fmt: skip
    add_device_argument(parser)
    return parser.parse_args()


def draw_batch(images: int, people: int) -> tuple[list[Frame], list[InstanceData]]:
    """Make images of noise, and random boxes in them."""
    rng = np.random.default_rng(0)
    frames, boxes = [], []
    for i in range(images):
        image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        frames.append(Frame(i, f'noise {i}', image))
        corner = rng.uniform((0, 0), (440, 180), (people, 2))
        size = rng.uniform((80, 160), (200, 300), (people, 2))
        scores = rng.uniform(0.1, 1, people).astype(np.float32)
        box = np.hstack((corner, corner + size)).astype(np.float32)
        boxes.append(InstanceData(bboxes=box, bbox_scores=scores))
    return frames, boxes


def stages(
    inferencer: RMPEInferencer, frames: list[Frame], people: list[InstanceData]
) -> dict:
    """Make a function of each stage, on the output of the stage before it."""
    detector, model = inferencer.detector, inferencer.estimator.model
    prepared = [detector.preprocess(frame.image) for frame in frames]
    estimator = inferencer.estimator
    cropper, norm = estimator.cropper, model.data_preprocessor
    arrays = [frame.image for frame in frames]
    bboxes = [boxes.bboxes for boxes in people]
    number = sum(map(len, bboxes))
    (crop,) = cropper.batches(arrays, bboxes, number)
    crops, _ = crop()
    inputs = normalise(norm, crops, cropper.color)
    images, theta = model.transform(inputs)

    def sppe():
        return model.head.forward(model.extract_feat(images), 'refine')

    in_window = sppe()

    def sdtn():
        return model.sdtn(in_window, invert_affine(theta))

    (heatmaps,) = sdtn()
    poses = inferencer.estimate(frames, people)

    return {
        'detector: image to network': lambda: [
            detector.preprocess(frame.image) for frame in frames
        ],
        'detector: network': lambda: detector.predict(prepared),
        'crop': crop,
        'normalise': lambda: normalise(norm, crops, cropper.color),
        'STN': lambda: model.transform(inputs),
        'SPPE: CPN': sppe,
        'SDTN': sdtn,
        'decode': lambda: estimator.graph.decode(heatmaps),
        'pose NMS': lambda: inferencer.suppress(frames, poses),
        POSES_OF_BOXES: lambda: inferencer.estimate(frames, people),
    }


@torch.inference_mode()
def main() -> None:
    args = parse_args()
    detector = PersonDetector(args.det_config, args.det_checkpoint, args.device)
    inferencer = RMPEInferencer(
        args.config,
        args.checkpoint,
        detector,
        device=args.device,
        person_batch=args.images * args.people,
        cfg_options=args.cfg_options,
    )
    frames, people = draw_batch(args.images, args.people)
    times = measure(stages(inferencer, frames, people), args.rounds)
    medians = {name: median(values) for name, values in times.items()}
    estimation = medians.pop(POSES_OF_BOXES)
    total, number = sum(medians.values()), args.images * args.people

    table = Table(
        'stage', 'ms per batch', 'ms per person', 'share',
        title=f'{args.images} images of 640x480, {args.people} people each, '
        f'{device_name(args.device)}',
    )  # fmt: skip
    for name, value in medians.items():
        share = f'{value / total:.1%}'
        table.add_row(name, f'{value:.2f}', f'{value / number:.3f}', share)
    table.add_row('total', f'{total:.2f}', f'{total / number:.3f}', '')
    table_console().print(table)
    print(f'{number / total * 1e3:.1f} people per second')
    print(f'{number / estimation * 1e3:.1f} people per second with given boxes')


if __name__ == '__main__':
    main()
