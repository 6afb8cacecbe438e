# SPDX-License-Identifier: Apache-2.0
"""Time what this plugin adds beside MMPose's standard parts, in one table.

CPN-ResNet-50 beside MMPose's ResNet-50 SimpleBaseline and HRNet-W32 at 256x192, in
float32 and in the ways that make networks faster; the data pipeline with PGPG beside
MMPose's; annotations read and checked; OHKM; pose NMS; evaluation. Each part is timed
in turns with its reference, so that ratios hold on a machine that is not quiet.

The networks differ in size, so the table has GMACs a second too: a network that is put
together well does as many as others do.

Example:
    python tools/benchmarks/all.py --batch 8 --rounds 7
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

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import oks_nms
from mmpose.registry import DATASETS, METRICS
from mmpose.structures import PoseDataSample
from ohkm import loss_steps
from pose_nms import instances, scene
from pose_nms_trial import draw_part
from rich.console import Console
from rich.table import Table
from side_by_side import add_device_argument, device_name, measure
from sstn import build, forward, step, target
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from rmpe_plugin.structures import poses_from_records
from rmpe_plugin.utils.mmpose_tools import find_mmpose_tool

CONFIGS = Path(__file__).parents[2] / 'configs'
MMPOSE = find_mmpose_tool('train.py').parents[1] / 'configs'
TOPDOWN = MMPOSE / 'body_2d_keypoint/topdown_heatmap/coco'
NETWORKS = {
    'SimpleBaseline, ResNet-50': TOPDOWN / 'td-hm_res50_8xb64-210e_coco-256x192.py',
    'HRNet-W32': TOPDOWN / 'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    'CPN, ResNet-50': CONFIGS / 'cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py',
}
CPN = 'CPN, ResNet-50'
PGPG = CONFIGS / 'cpn/coco/td-hm_cpn-res50_pgpg-8xb32-160e_coco-256x192.py'
MODES = ('float32', 'channels-last', 'bfloat16, channels-last', 'torch.compile')
# Title, what to time by name, and of networks their GMACs.
Part = tuple[str, dict[str, Callable[[], object]], dict[str, float]]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--parts', nargs='+', choices=tuple(PARTS), default=tuple(PARTS)
    )
    parser.add_argument('--modes', nargs='+', choices=MODES, default=MODES)
    parser.add_argument('--batch', type=int, default=8, help='crops (default: 8)')
    parser.add_argument('--rounds', type=int, default=7, help='default: 7')
    add_device_argument(parser)
    args = parser.parse_args()
    for name in ('batch', 'rounds'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    return args


def gmacs(model: nn.Module, *stage: str) -> float:
    """Multiply-adds of a forward pass at 256x192, in thousand millions."""
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter:
        forward(model, torch.zeros(1, 3, 256, 192, device=device), *stage)()
    return counter.get_total_flops() / 2e9


def plain_target(device: str) -> PoseDataSample:
    """Random targets of one level."""
    heatmaps = torch.rand(17, 64, 48, device=device)
    labels = InstanceData(keypoint_weights=torch.ones(1, 17, device=device))
    fields = PixelData(heatmaps=heatmaps)
    return PoseDataSample(gt_fields=fields, gt_instance_labels=labels)


def with_bfloat16(run: Callable[[], object], device: str) -> Callable[[], object]:
    """A function under autocast."""

    def cast():
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            return run()

    return cast


def networks(args: argparse.Namespace) -> Iterator[Part]:
    """Forward pass and training step of each network, in one mode after another."""
    images = torch.randn(args.batch, 3, 256, 192, device=args.device)
    for mode in args.modes:
        forwards, steps, sizes = {}, {}, {}
        for name, path in NETWORKS.items():
            model, stage = build(path, args.device), ('refine',) * (name == CPN)
            sizes[name] = gmacs(model, *stage)
            if 'channels-last' in mode:
                model.to(memory_format=torch.channels_last)
            if mode == 'torch.compile':
                # what computes; data samples are left to Python
                model.backbone.compile()
                model.head.forward = torch.compile(model.head.forward)
            make = target if name == CPN else plain_target
            samples = [make(args.device) for _ in range(args.batch)]
            forwards[name] = forward(copy.deepcopy(model), images, *stage)
            steps[name] = step(model, images, samples)
            if mode.startswith('bfloat16'):
                for functions in (forwards, steps):
                    functions[name] = with_bfloat16(functions[name], args.device)
        yield f'forward, {mode}', forwards, sizes
        yield f'training step, {mode}', steps, {}


def pipeline(args: argparse.Namespace) -> Iterator[Part]:
    """What a training reads: image, crop and targets of one person."""
    with TemporaryDirectory() as folder:
        with redirect_stdout(StringIO()):
            write_split(Path(folder), 'train', 8, (640, 480), 'crowd', seed=0)
        configs = {
            "MMPose's, of SimpleBaseline": NETWORKS['SimpleBaseline, ResNet-50'],
            "CPN's, five levels": NETWORKS[CPN],
            "CPN's, with PGPG": PGPG,
        }
        functions = {}
        for name, path in configs.items():
            dataset = Config.fromfile(path).train_dataloader.dataset
            dataset.update(
                data_root=folder,
                ann_file='annotations/person_keypoints_train.json',
                data_prefix=dict(img='train/'),
            )
            with redirect_stdout(StringIO()):
                people = DATASETS.build(dataset)
            functions[name] = lambda p=people: [p[i] for i in range(16)]
        yield 'data pipeline, 16 people of 640x480', functions, {}


def annotations(args: argparse.Namespace) -> Iterator[Part]:
    """What a training reads first."""
    images = 5_000
    truth = draw_part(np.random.default_rng(0), images, poses=0, people=2).truth
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'truth.json'
        path.write_text(json.dumps(truth))
        functions = {
            name: silent(partial(DATASETS.build, dict(type=kind, ann_file=str(path))))
            for name, kind in (
                ("MMPose's CocoDataset", 'CocoDataset'),
                ('CheckedCocoDataset', 'CheckedCocoDataset'),
            )
        }
        yield f'reading annotations, {2 * images} people', functions, {}


def ohkm(args: argparse.Namespace) -> Iterator[Part]:
    """The loss, forward and backward."""
    functions = loss_steps((64, 17, 64, 48), 8, args.device)
    yield 'OHKM, forward and backward, 64 people', functions, {}


def nms(args: argparse.Namespace) -> Iterator[Part]:
    """Pose NMS of one image, everybody another."""
    rng, params = np.random.default_rng(0), PoseNMSParams.preset('rmpe-paper')
    for number in (5, 20, 100):
        arrays = scene(rng, number, 1)
        people = instances(*arrays)
        poses = arrays
        if args.device != 'cpu':
            poses = [torch.from_numpy(array).to(args.device) for array in arrays]
        functions = {
            "MMPose's oks_nms": lambda p=people: oks_nms(p, 0.9),
            'parametric pose NMS': lambda p=poses: parametric_pose_nms(*p, params),
        }
        yield f'NMS of {number} poses', functions, {}


def evaluation(args: argparse.Namespace) -> Iterator[Part]:
    """From predictions to AP."""
    images = 200
    part = draw_part(np.random.default_rng(0), images, poses=20, people=2)
    samples = []
    for people in part.people:
        poses = poses_from_records(people, num_keypoints=17)
        for i, person in enumerate(people):
            one = poses[i : i + 1]
            found = dict(one.items(), bbox_scores=one.scores)
            truth = dict(bbox_scales=one.bboxes[:, 2:] - one.bboxes[:, :2])
            samples.append(
                dict(
                    id=len(samples),
                    img_id=person['image_id'],
                    pred_instances=found,
                    gt_instances=truth,
                )
            )
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'truth.json'
        path.write_text(json.dumps(part.truth))
        metrics = {
            "MMPose's CocoMetric, oks_nms": dict(type='CocoMetric'),
            'PoseNMSCocoMetric, oks_nms': dict(type='PoseNMSCocoMetric'),
            'PoseNMSCocoMetric, pose NMS': dict(
                type='PoseNMSCocoMetric', pose_nms='rmpe-paper'
            ),
        }
        functions = {}
        for name, config in metrics.items():
            with redirect_stdout(StringIO()):
                metric = METRICS.build(dict(config, ann_file=str(path)))
            metric.dataset_meta = dict(sigmas=part.sigmas, num_keypoints=17)
            metric.process([], samples)
            functions[name] = silent(partial(metric.compute_metrics, metric.results))
        yield f'evaluation, {images} images of 20 poses', functions, {}


def silent(run: Callable[[], object]) -> Callable[[], object]:
    """A function whose prints are not shown."""

    def quiet():
        with redirect_stdout(StringIO()):
            return run()

    return quiet


def add_rows(table: Table, part: Part, args: argparse.Namespace) -> None:
    """Time a part and add its rows."""
    title, functions, sizes = part
    times = measure(functions, args.rounds)
    medians = {name: median(values) for name, values in times.items()}
    first = next(iter(medians.values()))
    for i, (name, value) in enumerate(medians.items()):
        rates = ('', '')
        if name in sizes:
            rate = args.batch / value * 1e3
            rates = (f'{rate:.1f}', f'{rate * sizes[name]:.0f}')
        ratio = f'{value / first:.2f}'
        table.add_row('' if i else title, name, f'{value:.2f}', ratio, *rates)
    table.add_section()


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    table = Table(
        'part', '', 'median ms', 'times the first', 'people/s', 'GMACs/s',
        title=f'{args.batch} crops of 256x192, {device_name(args.device)}, '
        f'torch {torch.__version__}',
    )  # fmt: skip
    for name in args.parts:
        for part in PARTS[name](args):
            add_rows(table, part, args)
    Console(width=110).print(table)


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
