# SPDX-License-Identifier: Apache-2.0
"""Compare the speed of this plugin with MMPose's standard components, in one table.

The parts are: CPN-ResNet-50, MMPose's ResNet-50 SimpleBaseline and HRNet-W32 at 256x192
in several execution modes; the data pipeline with and without PGPG; reading and
checking of annotations; OHKM; pose NMS; evaluation. Each part is timed alternately with
its reference, so that the ratios are reliable on a machine with other load.

The networks differ in size. GMACs per second show how well each of them uses the
hardware.

Example:
    python -m experiments.benchmarks.all --batch 8 --rounds 7
"""

import argparse
import copy
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import oks_nms
from mmpose.registry import DATASETS, METRICS
from mmpose.structures import PoseDataSample
from rich.table import Table

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    device_name,
    measure,
)
from experiments.benchmarks.workloads import (
    CONFIGS,
    CPN,
    HRNET,
    SIMPLE_BASELINE,
    build,
    forward,
    gmacs,
    instances,
    loss_steps,
    random_split,
    scene,
    step,
    target,
)
from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.engine.hooks import ChannelsLastHook
from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from rmpe_plugin.structures import poses_from_records
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

NETWORKS = {
    'SimpleBaseline, ResNet-50': SIMPLE_BASELINE,
    'HRNet-W32': HRNET,
    'CPN, ResNet-50': CPN,
}
PGPG = CONFIGS / 'cpn/coco/td-hm_cpn-res50_pgpg-8xb32-160e_coco-256x192.py'
MODES = ('float32', 'channels-last', 'bfloat16, channels-last', 'torch.compile')
Function = Callable[[], object]
# Title, functions to time by name, and GMACs by name (networks only).
Part = tuple[str, dict[str, Function], dict[str, float]]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--parts', nargs='+', choices=tuple(PARTS), default=tuple(PARTS),
        help='what to time (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--modes', nargs='+', choices=MODES, default=MODES,
        help='execution modes of the networks (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=at_least(1), default=8,
        help='batch size of the networks, crops (default: 8)',
    )  # fmt: skip
    parser.add_argument(
        '--rounds', type=at_least(1), default=7,
        help='measurements per function, whose median is printed (default: 7)',
    )  # fmt: skip
    add_device_argument(parser)
    return parser.parse_args()


def plain_target(device: str) -> PoseDataSample:
    """Create random targets of one level."""
    heatmaps = torch.rand(17, 64, 48, device=device)
    labels = InstanceData(keypoint_weights=torch.ones(1, 17, device=device))
    fields = PixelData(heatmaps=heatmaps)
    return PoseDataSample(gt_fields=fields, gt_instance_labels=labels)


def with_bfloat16(function: Function, device: str) -> Function:
    """Wrap a function in bfloat16 autocast."""

    def run():
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            return function()

    return run


def silent(function: Function) -> Function:
    """Wrap a function so that it prints nothing."""

    def run():
        with redirect_stdout(StringIO()):
            return function()

    return run


def network(
    name: str, mode: str, images: torch.Tensor
) -> tuple[Function, Function, float]:
    """Build a network's forward pass and training step in a mode; count its GMACs."""
    device = str(images.device)
    model = build(NETWORKS[name], device)
    size = gmacs(model)
    if 'channels-last' in mode:
        ChannelsLastHook().before_run(SimpleNamespace(model=model))
    if mode == 'torch.compile':
        # Data samples are processed by Python code, which is not compiled.
        model.backbone.compile()
        model.head.forward = torch.compile(model.head.forward)
    make_target = target if NETWORKS[name] == CPN else plain_target
    samples = [make_target(device) for _ in images]
    functions = (
        forward(copy.deepcopy(model), images),
        step(model, images, samples),
    )
    if mode.startswith('bfloat16'):
        functions = tuple(with_bfloat16(function, device) for function in functions)
    return *functions, size


def networks(args: argparse.Namespace) -> Iterator[Part]:
    """Forward pass and training step of each network in each mode."""
    images = torch.randn(args.batch, 3, 256, 192, device=args.device)
    for mode in args.modes:
        forwards, steps, sizes = {}, {}, {}
        for name in NETWORKS:
            forwards[name], steps[name], sizes[name] = network(name, mode, images)
        yield f'forward, {mode}', forwards, sizes
        yield f'training step, {mode}', steps, {}


def pipeline(args: argparse.Namespace) -> Iterator[Part]:
    """Data pipeline of training: image, crop and targets of one person."""
    configs = {
        'SimpleBaseline of MMPose': SIMPLE_BASELINE,
        'CPN, five levels': CPN,
        'CPN with PGPG': PGPG,
    }
    with TemporaryDirectory() as folder:
        silent(
            partial(write_split, Path(folder), 'train', 8, (640, 480), 'crowd', seed=0)
        )()
        functions = {}
        for name, path in configs.items():
            config = Config.fromfile(path).train_dataloader.dataset
            config.update(
                data_root=folder,
                ann_file='annotations/person_keypoints_train.json',
                data_prefix=dict(img='train/'),
            )
            dataset = silent(partial(DATASETS.build, config))()
            functions[name] = lambda d=dataset: [d[i] for i in range(16)]
        yield 'data pipeline, 16 people, 640x480', functions, {}


def annotations(args: argparse.Namespace) -> Iterator[Part]:
    """Reading of annotations."""
    images = 5_000
    split = random_split(np.random.default_rng(0), images, poses=0, people=2)
    kinds = {
        'CocoDataset of MMPose': 'CocoDataset',
        'CheckedCocoDataset': 'CheckedCocoDataset',
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'annotations.json'
        path.write_text(json.dumps(split.annotations))
        functions = {
            name: silent(partial(DATASETS.build, dict(type=kind, ann_file=str(path))))
            for name, kind in kinds.items()
        }
        yield f'reading annotations, {2 * images} people', functions, {}


def ohkm(args: argparse.Namespace) -> Iterator[Part]:
    """OHKM loss, forward and backward."""
    functions = loss_steps((64, 17, 64, 48), 8, args.device)
    yield 'OHKM, forward and backward, 64 people', functions, {}


def nms(args: argparse.Namespace) -> Iterator[Part]:
    """Pose NMS of one image in which all poses are of different people."""
    rng, params = np.random.default_rng(0), PoseNMSParams.preset('rmpe-paper')
    for number in (5, 20, 100):
        arrays = scene(rng, number, 1)
        people = instances(*arrays)
        poses = arrays
        if args.device != 'cpu':
            poses = [torch.from_numpy(array).to(args.device) for array in arrays]
        functions = {
            'oks_nms of MMPose': lambda p=people: oks_nms(p, 0.9),
            'parametric pose NMS': lambda p=poses: parametric_pose_nms(*p, params),
        }
        yield f'NMS of {number} poses', functions, {}


def prediction_samples(predictions: list[list[dict]]) -> list[dict]:
    """Convert the predictions of each image to data samples, one per person."""
    samples = []
    for records in predictions:
        poses = poses_from_records(records, num_keypoints=17)
        for i, record in enumerate(records):
            pose = poses[i : i + 1]
            size = pose.bboxes[:, 2:] - pose.bboxes[:, :2]
            samples.append(
                dict(
                    id=len(samples),
                    img_id=record['image_id'],
                    pred_instances=dict(pose.items(), bbox_scores=pose.scores),
                    gt_instances=dict(bbox_scales=size),
                )
            )
    return samples


def evaluation(args: argparse.Namespace) -> Iterator[Part]:
    """Evaluation, from predictions to AP."""
    images = 200
    split = random_split(np.random.default_rng(0), images, poses=20, people=2)
    samples = prediction_samples(list(split.predictions.values()))
    configs = {
        'CocoMetric of MMPose, oks_nms': dict(type='CocoMetric'),
        'PoseNMSCocoMetric, oks_nms': dict(type='PoseNMSCocoMetric'),
        'PoseNMSCocoMetric, pose NMS': dict(
            type='PoseNMSCocoMetric', pose_nms='rmpe-paper'
        ),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'annotations.json'
        path.write_text(json.dumps(split.annotations))
        functions = {}
        for name, config in configs.items():
            config.update(ann_file=str(path))
            metric = silent(partial(METRICS.build, config))()
            metric.dataset_meta = dict(sigmas=split.sigmas, num_keypoints=17)
            metric.process([], samples)
            functions[name] = silent(partial(metric.compute_metrics, metric.results))
        yield f'evaluation, {images} images, 20 poses', functions, {}


def add_rows(table: Table, part: Part, args: argparse.Namespace) -> None:
    """Time a part and add its rows to the table."""
    title, functions, sizes = part
    times = measure(functions, args.rounds)
    medians = {name: median(values) for name, values in times.items()}
    reference = next(iter(medians.values()))
    for i, (name, value) in enumerate(medians.items()):
        rates = ('', '')
        if name in sizes:
            rate = args.batch / value * 1e3
            rates = (f'{rate:.1f}', f'{rate * sizes[name]:.0f}')
        ratio = f'{value / reference:.2f}'
        table.add_row('' if i else title, name, f'{value:.2f}', ratio, *rates)
    table.add_section()


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    table = Table(
        'part', 'function', 'median ms', 'ratio to first', 'people/s', 'GMACs/s',
        title=f'{args.batch} crops of 256x192, {device_name(args.device)}, '
        f'torch {torch.__version__}',
    )  # fmt: skip
    for name in args.parts:
        for part in PARTS[name](args):
            add_rows(table, part, args)
    table_console().print(table)


PARTS = dict(
    networks=networks,
    pipeline=pipeline,
    annotations=annotations,
    ohkm=ohkm,
    nms=nms,
    evaluation=evaluation,
)

if __name__ == '__main__':
    main()
