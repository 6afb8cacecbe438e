# SPDX-License-Identifier: Apache-2.0
r"""Compare PyTorch with exported models: speed, file size and AP.

All runtimes compute the same function, from crops to keypoints, alternately and in one
process. The models are untrained, without flip test; int8 is calibrated on noise, which
does not change its speed. OpenVINO is included if it is installed, bfloat16 if the
device computes it quickly.

With --checkpoint, weights of the quickstart's config, the AP of each precision on the
config's test data is printed too, with flip test and calibration on training data.

Example:
    python -m experiments.benchmarks.export --models quickstart --batches 1 8 32 \
        --checkpoint work_dirs/quickstart/epoch_3.pth
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import DATASETS, METRICS
from rich.table import Table

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    device_name,
    measure,
)
from experiments.benchmarks.workloads import POSE_ESTIMATORS, build
from rmpe_plugin.apis import PoseEstimator, TorchPoseEstimator
from rmpe_plugin.apis.onnx_pose_estimator import OnnxPoseEstimator
from rmpe_plugin.deploy import (
    PoseFormat,
    PoseMetadata,
    dataset_crops,
    open_session,
    quantize_onnx,
    write_onnx,
)
from rmpe_plugin.engine.optim_wrappers.cpu_bfloat16 import bfloat16_flag
from rmpe_plugin.inference import PoseGraph
from rmpe_plugin.utils.arguments import at_least, existing_file
from rmpe_plugin.utils.tables import table_console

REFERENCE = 'PyTorch float32'
Function = Callable[[], object]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--models', nargs='+', choices=tuple(POSE_ESTIMATORS),
        default=tuple(POSE_ESTIMATORS), help='models to time (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--batches', type=at_least(1), nargs='+', default=(1, 8, 32),
        help='batch sizes, crops (default: 1 8 32)',
    )  # fmt: skip
    parser.add_argument(
        '--rounds', type=at_least(1), default=7,
        help='measurements per function, whose median is printed (default: 7)',
    )  # fmt: skip
    parser.add_argument(
        '--checkpoint',
        type=existing_file,
        help="weights of the quickstart's model, for AP",
    )
    parser.add_argument(
        '--no-compile', action='store_true', help='without torch.compile'
    )
    add_device_argument(parser)
    return parser.parse_args()


# --- files ----------------------------------------------------------------------------


def untrained(name: str) -> tuple[TopdownPoseEstimator, Config]:
    """Build a model without weights and without flip test."""
    config = Config.fromfile(POSE_ESTIMATORS[name])
    model = build(POSE_ESTIMATORS[name], 'cpu').eval()
    model.test_cfg.flip_test = False
    meta = dict(from_file='configs/_base_/datasets/coco.py')
    model.dataset_meta = parse_pose_metainfo(meta)
    return model, config


def export(
    model: TopdownPoseEstimator,
    config: Config,
    folder: Path,
    calibration: np.ndarray | None = None,
) -> dict[str, Path]:
    """Export a model in each precision.

    Args:
        model (TopdownPoseEstimator): The model.
        config (Config): Its config.
        folder (Path): Output folder.
        calibration (np.ndarray, optional): Crops (N, 3, h, w) for int8. Defaults to
            ``None``: noise.

    Returns:
        dict[str, Path]: The files by precision.
    """
    metadata = PoseMetadata.of_model(model, config, 'bgr')
    paths = {name: folder / f'{name}.onnx' for name in ('float32', 'fp16', 'int8')}
    for name, dtype in (('float32', torch.float32), ('fp16', torch.float16)):
        form = PoseFormat(PoseGraph(model, dtype=dtype).eval(), metadata)
        properties = metadata.to_properties()
        write_onnx(form.graph, form.examples(), form.outputs, paths[name], properties)
    if calibration is None:
        width, height = metadata.input_size
        calibration = noise(8, (height, width))
    batches = (
        form.feeds(calibration[i : i + 8]) for i in range(0, len(calibration), 8)
    )
    quantize_onnx(paths['float32'], paths['int8'], batches)
    return paths


def noise(number: int, size: tuple[int, int]) -> np.ndarray:
    """Random crops (number, 3, *size), uint8."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (number, 3, *size), dtype=np.uint8)


# --- speed ----------------------------------------------------------------------------


def pytorch_functions(
    model: TopdownPoseEstimator, images: np.ndarray, args: argparse.Namespace
) -> dict[str, Function]:
    """The graph in PyTorch, in several modes."""
    device = torch.device(args.device)
    crops = torch.from_numpy(images).to(device)
    graph = PoseGraph(model).eval().to(device)
    last = copy.deepcopy(graph).to(memory_format=torch.channels_last)

    def run(module: torch.nn.Module, dtype: torch.dtype | None = None) -> Function:
        @torch.inference_mode()
        def function():
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                return module(crops)

        return function

    functions = {REFERENCE: run(graph), 'PyTorch channels last': run(last)}
    if device.type == 'cuda' or bfloat16_flag():
        functions['PyTorch bfloat16, channels last'] = run(last, torch.bfloat16)
    if not args.no_compile:
        # All models are instances of one class; torch compiles its method a few times
        # only.
        torch.compiler.reset()
        functions['torch.compile'] = run(torch.compile(copy.deepcopy(graph)))
    return functions


def runtime_functions(
    paths: dict[str, Path], images: np.ndarray, device: str
) -> dict[str, Function]:
    """The files in onnxruntime and OpenVINO."""
    functions = {}
    for name, path in paths.items():
        session = open_session(path, device)
        functions[f'onnxruntime {name}'] = lambda s=session: s.run(
            None, dict(crops=images)
        )
    if find_spec('openvino') and device == 'cpu':
        from openvino import Core

        for name in ('float32', 'int8'):
            model = Core().compile_model(
                str(paths[name]), 'CPU',
                dict(INFERENCE_NUM_THREADS=torch.get_num_threads()),
            )  # fmt: skip
            functions[f'OpenVINO {name}'] = lambda m=model: m([images])
    return functions


def speed_table(name: str, args: argparse.Namespace) -> Table:
    """Time a model in all runtimes."""
    model, config = untrained(name)
    size = model.head.decoder.input_size[::-1]
    table = Table(
        name, *(f'{batch} crops, ms' for batch in args.batches), 'speed', 'MB'
    )
    with TemporaryDirectory() as folder:
        paths = export(model, config, Path(folder))
        times: dict[str, list[float]] = {}
        for batch in args.batches:
            images = noise(batch, size)
            functions = pytorch_functions(model, images, args)
            functions.update(runtime_functions(paths, images, args.device))
            for key, values in measure(functions, args.rounds).items():
                times.setdefault(key, []).append(median(values))
        for key, values in times.items():
            ratios = [
                f'{r / v:.2f}' for r, v in zip(times[REFERENCE], values, strict=True)
            ]
            file = paths.get(key.split()[-1]) if key.startswith('onnx') else None
            megabytes = f'{file.stat().st_size / 1e6:.1f}' if file else ''
            cells = [f'{v:.1f}' for v in values]
            table.add_row(key, *cells, ', '.join(ratios), megabytes)
    return table


# --- AP -------------------------------------------------------------------------------


def estimators(
    args: argparse.Namespace, folder: Path
) -> Iterator[tuple[str, PoseEstimator]]:
    """The quickstart's trained model in each precision."""
    path = POSE_ESTIMATORS['quickstart']
    plain = TorchPoseEstimator(path, args.checkpoint, 'cpu')
    yield REFERENCE, plain
    yield (
        'PyTorch bfloat16',
        TorchPoseEstimator(path, args.checkpoint, args.device, 'bfloat16'),
    )
    crops = dataset_crops(plain.config, 'train', 64)
    calibration = np.stack([crop['inputs'].numpy() for crop in crops])
    for name, file in export(plain.model, plain.config, folder, calibration).items():
        yield f'onnxruntime {name}', OnnxPoseEstimator(file, args.device)


def average_precision(estimator: PoseEstimator, config: Config) -> float:
    """AP of an estimator on the test data of a config."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        people = DATASETS.build(config.test_dataloader.dataset)
        metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = people.metainfo
    for start in range(0, len(people), 32):
        indices = range(start, min(start + 32, len(people)))
        samples = [people[i]['data_samples'] for i in indices]
        images = [mmcv.imread(sample.img_path) for sample in samples]
        boxes = [
            InstanceData(
                bboxes=sample.gt_instances.bboxes,
                bbox_scores=sample.gt_instances.bbox_scores,
            )
            for sample in samples
        ]
        poses = estimator.estimate(images, boxes, len(boxes))
        poses.bboxes, poses.bbox_scores = InstanceData.cat(boxes).values()
        for i, sample in enumerate(samples):
            sample.pred_instances = poses[i : i + 1]
        metric.process([], [sample.to_dict() for sample in samples])
    return metric.evaluate(len(people))['coco/AP']


def ap_table(args: argparse.Namespace) -> Table:
    """AP of the quickstart's model in each precision."""
    config = Config.fromfile(POSE_ESTIMATORS['quickstart'])
    table = Table("quickstart's model", 'AP', 'difference')
    reference = None
    with TemporaryDirectory() as folder:
        for name, estimator in estimators(args, Path(folder)):
            ap = average_precision(estimator, config)
            reference = ap if reference is None else reference
            table.add_row(name, f'{ap:.4f}', f'{ap - reference:+.5f}')
    return table


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    console = table_console()
    console.print(f'{device_name(args.device)}, torch {torch.__version__}')
    for name in args.models:
        console.print(speed_table(name, args))
    if args.checkpoint:
        console.print(ap_table(args))


if __name__ == '__main__':
    main()
