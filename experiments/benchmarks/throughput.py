# SPDX-License-Identifier: Apache-2.0
r"""Measure people per second from image files to poses, beside MMPose.

Both packages have the same untrained weights and the same boxes: random boxes in the
photographs of --images. MMPose is mmpose.apis.inference_topdown, image after image.
RMPEInferencer reads the files, crops, predicts, decodes and applies pose NMS. The flip
test is off in both.

Overhead is the time per person outside the network: cropping, normalisation, decoding,
scores and pose NMS, without reading files. It is measured with a network that returns
the same heatmaps at once.

Example:
    python -m experiments.benchmarks.throughput --models quickstart --people 1 20
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import mmcv
import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.apis import inference_topdown
from rich.table import Table

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    device_name,
    measure,
)
from experiments.benchmarks.workloads import POSE_ESTIMATORS
from rmpe_plugin.apis import PRECISIONS, Frame, Frames, RMPEInferencer
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

PHOTOGRAPHS = Path(__file__).parents[2] / 'tests' / 'data' / 'coco_cc'
Predict = Callable[[np.ndarray, np.ndarray], list]
NO_FLIP = {'model.test_cfg.flip_test': False}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--models', nargs='+', choices=tuple(POSE_ESTIMATORS),
        default=tuple(POSE_ESTIMATORS), help='default: all',
    )  # fmt: skip
    parser.add_argument(
        '--people', nargs='+', type=at_least(1), default=(1, 5, 20, 100),
        help='people per image (default: 1 5 20 100)',
    )  # fmt: skip
    parser.add_argument(
        '--images', default=PHOTOGRAPHS, help='folder of images (default: %(default)s)'
    )
    parser.add_argument('--precision', choices=PRECISIONS, default='float32')
    parser.add_argument(
        '--image-batch',
        type=at_least(1),
        default=8,
        help='images per batch (default: 8)',
    )
    parser.add_argument(
        '--person-batch',
        type=at_least(1),
        default=32,
        help='people per batch (default: 32)',
    )
    parser.add_argument(
        '--total', type=at_least(1), default=80,
        help='people per measurement, unless there are more in one image (default: 80)',
    )  # fmt: skip
    parser.add_argument('--rounds', type=at_least(1), default=5, help='default: 5')
    add_device_argument(parser)
    return parser.parse_args()


def draw_boxes(image: np.ndarray, people: int, rng: np.random.Generator) -> np.ndarray:
    """Draw random boxes (N, 5) of upright people, within an image."""
    height, width = image.shape[:2]
    size = rng.uniform((0.1, 0.3), (0.3, 0.8), (people, 2)) * (width, height)
    corner = rng.uniform(0, 1, (people, 2)) * ((width, height) - size)
    scores = rng.uniform(0.3, 1, (people, 1))
    return np.hstack((corner, corner + size, scores)).astype(np.float32)


def mmpose_function(inferencer: RMPEInferencer, precision: str) -> Predict:
    """Make MMPose's function for the same model and precision."""
    model = inferencer.estimator.model
    device = inferencer.estimator.device.type

    def predict(image: np.ndarray, bboxes: np.ndarray) -> list:
        with torch.autocast(device, torch.bfloat16, enabled=precision == 'bfloat16'):
            return inference_topdown(model, image, bboxes)

    return predict


class Workload:
    """Images with the same number of boxes each.

    Args:
        paths (list[Path]): Image files.
        people (int): Number of boxes per image.
        total (int): Number of boxes that the images have at least together.
    """

    def __init__(self, paths: list[Path], people: int, total: int) -> None:
        rng = np.random.default_rng(0)
        self.paths = paths[: max(1, -(-total // people))]
        self.images = [mmcv.imread(path) for path in self.paths]
        self.boxes = [draw_boxes(image, people, rng) for image in self.images]
        self.number = people * len(self.paths)

    def rmpe(self, inferencer: RMPEInferencer) -> Callable[[], object]:
        """Make a function that predicts poses from files with this package."""
        return lambda: list(inferencer(self.paths, self.boxes))

    def mmpose(self, predict: Predict) -> Callable[[], object]:
        """Make a function that predicts poses from files with MMPose."""
        return lambda: [
            predict(mmcv.imread(path), boxes[:, :4])
            for path, boxes in zip(self.paths, self.boxes, strict=True)
        ]

    def rmpe_in_memory(self, inferencer: RMPEInferencer) -> Callable[[], object]:
        """Make a function that predicts poses of images in memory."""
        frames = [Frame(i, '', image) for i, image in enumerate(self.images)]
        people = [
            InstanceData(bboxes=b[:, :4], bbox_scores=b[:, 4]) for b in self.boxes
        ]

        def run() -> None:
            step = inferencer.image_batch
            for i in range(0, len(frames), step):
                batch = frames[i : i + step]
                poses = inferencer.estimate(batch, people[i : i + step])
                inferencer.suppress(batch, poses)

        return run

    def mmpose_in_memory(self, predict: Predict) -> Callable[[], object]:
        """Make a function that predicts poses of images in memory with MMPose."""
        return lambda: [
            predict(image, boxes[:, :4])
            for image, boxes in zip(self.images, self.boxes, strict=True)
        ]


class WithoutNetwork:
    """Replace the networks of models by one that returns the same heatmaps at once.

    Args:
        models (TopdownPoseEstimator): Models with the same head.
        number (int): Maximum number of crops of a batch.
    """

    def __init__(self, *models: torch.nn.Module, number: int) -> None:
        self.models = models
        model = models[0]
        width, height = model.head.decoder.heatmap_size
        device = next(model.parameters()).device
        torch.manual_seed(0)
        self.heatmaps = torch.rand(number, 17, height, width, device=device)
        self.theta = torch.eye(2, 3, device=device).expand(number, 2, 3)

    def __enter__(self) -> None:
        for model in self.models:
            self._replace(model)

    def _replace(self, model: torch.nn.Module) -> None:
        heatmaps, theta = self.heatmaps, self.theta
        one = (lambda x: [x]) if hasattr(model.head, 'stages') else (lambda x: x)
        model.extract_feat = lambda images: images
        model.head.forward = lambda images, *_: one(heatmaps[: len(images)])
        if isinstance(model, SSTNPoseEstimator):
            model.test_views = lambda images: (
                [one(heatmaps[: len(images)])],
                theta[: len(images)],
            )

    def __exit__(self, *error: object) -> None:
        for model in self.models:
            vars(model).pop('test_views', None)
            del model.extract_feat
            del model.head.forward


def measure_model(args: argparse.Namespace, name: str, people: int) -> tuple[str, ...]:
    """Row of the table of one model and number of people per image."""
    inferencer = RMPEInferencer(
        POSE_ESTIMATORS[name],
        device=args.device,
        precision=args.precision,
        image_batch=args.image_batch,
        person_batch=args.person_batch,
        cfg_options=NO_FLIP,
    )
    predict = mmpose_function(inferencer, args.precision)
    models = (inferencer.estimator.model, inferencer.estimator.graph.model)
    paths = [path for _, path in Frames(args.images).files]
    work = Workload(paths, people, args.total)
    speed = measure(
        dict(mmpose=work.mmpose(predict), rmpe=work.rmpe(inferencer)), args.rounds
    )
    with WithoutNetwork(*models, number=max(people, args.person_batch)):
        overhead = measure(
            dict(
                mmpose=work.mmpose_in_memory(predict),
                rmpe=work.rmpe_in_memory(inferencer),
            ),
            max(args.rounds, 5),
        )
    times, extra = (
        {key: median(values) / work.number for key, values in results.items()}
        for results in (speed, overhead)
    )
    return (
        name,
        str(people),
        f'{1e3 / times["mmpose"]:.1f}',
        f'{1e3 / times["rmpe"]:.1f}',
        f'{times["mmpose"] / times["rmpe"]:.2f}',
        f'{extra["mmpose"]:.3f}',
        f'{extra["rmpe"]:.3f}',
        f'{1 - extra["rmpe"] / times["rmpe"]:.1%}',
    )


@torch.inference_mode()
def main() -> None:
    args = parse_args()
    table = Table(
        'model', 'people per image', 'MMPose, people/s', 'here, people/s', 'ratio',
        'overhead MMPose, ms', 'overhead here, ms', 'network and reading',
        title=f'{device_name(args.device)}, {args.precision}',
    )  # fmt: skip
    for name in args.models:
        for people in args.people:
            table.add_row(*measure_model(args, name, people))
    table_console().print(table)


if __name__ == '__main__':
    main()
