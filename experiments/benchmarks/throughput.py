# SPDX-License-Identifier: Apache-2.0
r"""Measure people per second from image files to poses, beside MMPose and rtmlib.

All programs have the same untrained weights and the same boxes: random boxes in the
photographs of --images. MMPose is mmpose.apis.inference_topdown, image after image;
rtmlib is its class RTMPose, likewise, with the model exported for it. RMPEInferencer
reads the files, crops, predicts, decodes and applies pose NMS, with PyTorch and with an
exported ONNX file. The flip test is off. rtmlib is left out if it is not installed.

Overhead is the time per person outside the network: cropping, normalisation, decoding,
scores and pose NMS, without reading files. It is measured with a network that returns
the same heatmaps, or for the ONNX file the same keypoints, at once.

Example:
    python -m experiments.benchmarks.throughput --models quickstart --people 1 20
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

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
from experiments.benchmarks.workloads import POSE_ESTIMATORS, busy_cores
from rmpe_plugin.apis import PRECISIONS, Frame, Frames, RMPEInferencer
from rmpe_plugin.deploy import PoseFormat, PoseMetadata, RTMLibFormat, write_onnx
from rmpe_plugin.inference import PoseGraph
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
    parser.add_argument(
        '--no-onnx', action='store_true', help='without ONNX file and rtmlib'
    )
    parser.add_argument(
        '--busy', action='store_true', help='another program occupies the cores'
    )
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

    def image_by_image(self, predict: Predict) -> Callable[[], object]:
        """Make a function that predicts poses from files, image after image."""
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
        head = models[0].head
        width, height = head.decoder.heatmap_size
        device = next(models[0].parameters()).device
        torch.manual_seed(0)
        shape = number, head.out_channels, height, width
        self.heatmaps = torch.rand(shape, device=device)
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


class SameKeypoints:
    """Stands for an ONNX session and returns the same keypoints and scores at once."""

    def __init__(self, num_keypoints: int) -> None:
        self.num_keypoints = num_keypoints

    def run(self, _: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Keypoints (B, K, 2) and scores (B, K) of the crops (B, 3, h, w)."""
        shape = len(feeds['crops']), self.num_keypoints
        return [np.ones((*shape, 2), np.float32), np.ones(shape, np.float32)]


# --- programs -------------------------------------------------------------------------

MMPOSE, PYTORCH = 'MMPose', 'here, PyTorch'
ONNX, RTMLIB = 'here, ONNX file', 'rtmlib'


def export(inferencer: RMPEInferencer, folder: Path) -> dict[str, Path]:
    """Export the model of an inferencer for this package and for rtmlib."""
    model, config = inferencer.estimator.model, inferencer.estimator.config
    metadata = PoseMetadata.of_model(model, config, 'bgr')
    paths = {}
    for name, form in ((ONNX, PoseFormat), (RTMLIB, RTMLibFormat)):
        exported = form(PoseGraph(model).eval(), metadata)
        paths[name] = folder / f'{form.__name__}.onnx'
        write_onnx(
            exported.graph, exported.examples(), exported.outputs, paths[name],
            metadata.to_properties(), exported.dynamic_batch,
        )  # fmt: skip
    return paths


def rtmlib_function(path: Path, device: str, size: tuple[int, int]) -> Predict:
    """Make rtmlib's function for an exported file."""
    from rtmlib import RTMPose

    return RTMPose(str(path), model_input_size=size, device=device)


class Programs:
    """The programs that are compared, for one model.

    Args:
        args (argparse.Namespace): Arguments of this script.
        name (str): Name of the model.
        folder (Path): Folder for the exported files.
    """

    def __init__(self, args: argparse.Namespace, name: str, folder: Path) -> None:
        options = dict(image_batch=args.image_batch, person_batch=args.person_batch)
        torch_options = dict(precision=args.precision, cfg_options=NO_FLIP, **options)
        self.pytorch = RMPEInferencer(
            POSE_ESTIMATORS[name], device=args.device, **torch_options
        )
        self.mmpose = mmpose_function(self.pytorch, args.precision)
        self.onnx = self.rtmlib = None
        if args.no_onnx:
            return
        paths = export(self.pytorch, folder)
        self.onnx = RMPEInferencer(paths[ONNX], device=args.device, **options)
        if find_spec('rtmlib') is None:
            table_console().print('rtmlib is not installed: pip install rtmlib')
            return
        size = self.onnx.estimator.metadata.input_size
        self.rtmlib = rtmlib_function(paths[RTMLIB], args.device, tuple(size))

    def from_files(self, work: Workload) -> dict[str, Callable[[], object]]:
        """Functions that predict poses from files, by program."""
        functions = {
            MMPOSE: work.image_by_image(self.mmpose),
            RTMLIB: self.rtmlib and work.image_by_image(self.rtmlib),
            PYTORCH: work.rmpe(self.pytorch),
            ONNX: self.onnx and work.rmpe(self.onnx),
        }
        return {name: run for name, run in functions.items() if run is not None}

    def overhead(
        self, work: Workload, number: int, rounds: int
    ) -> dict[str, list[float]]:
        """Milliseconds without network, by program."""
        functions = {
            MMPOSE: work.mmpose_in_memory(self.mmpose),
            PYTORCH: work.rmpe_in_memory(self.pytorch),
        }
        models = (self.pytorch.estimator.model, self.pytorch.estimator.graph.model)
        with ExitStack() as stack:
            stack.enter_context(WithoutNetwork(*models, number=number))
            if self.onnx is not None:
                functions[ONNX] = work.rmpe_in_memory(self.onnx)
                session = SameKeypoints(models[0].head.out_channels)
                stack.enter_context(
                    patch.object(self.onnx.estimator, 'session', session)
                )
            return measure(functions, rounds)


def add_rows(table: Table, args: argparse.Namespace, name: str) -> None:
    """Measure a model with all numbers of people per image."""
    paths = [path for _, path in Frames(args.images).files]
    with TemporaryDirectory() as folder:
        programs = Programs(args, name, Path(folder))
    for people in args.people:
        work = Workload(paths, people, args.total)
        functions = programs.from_files(work)
        number = max(people, args.person_batch)
        with busy_cores(args.busy):
            speed = measure(functions, args.rounds)
            overhead = programs.overhead(work, number, max(args.rounds, 5))
        reference = median(speed[MMPOSE])
        for program, times in speed.items():
            extra = overhead.get(program)
            table.add_row(
                name,
                str(people),
                program,
                f'{1e3 * work.number / median(times):.1f}',
                f'{reference / median(times):.2f}',
                f'{median(extra) / work.number:.3f}' if extra else '',
            )


@torch.inference_mode()
def main() -> None:
    args = parse_args()
    table = Table(
        'model', 'people per image', 'program', 'people/s', 'relative to MMPose',
        'overhead, ms per person',
        title=f'{device_name(args.device)}, {args.precision}',
    )  # fmt: skip
    for name in args.models:
        add_rows(table, args, name)
    table_console().print(table)


if __name__ == '__main__':
    main()
