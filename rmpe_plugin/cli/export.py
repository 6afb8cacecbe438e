# SPDX-License-Identifier: Apache-2.0
r"""Export a top-down pose estimator to one ONNX file, from crops to keypoints.

The file contains normalisation, network, SSTN, flip test and decoding, as the config's
``test_cfg`` sets them, and runs in onnxruntime without PyTorch and OpenMMLab. The
export is compared with PyTorch on crops of the config's test data, or of the images
given with --images. In float32 the exit status is 1 if a keypoint differs by more than
0.01 pixels of the crop (0.5 for rtmlib) or a score by more than 1e-4.

Example:
    rmpe export \
        configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py \
        work_dirs/quickstart/epoch_3.pth --out work_dirs/cpn.onnx
"""

import argparse
import sys
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from mmengine.config import Config, DictAction
from rich.table import Table

from rmpe_plugin.apis import Frames, RMPEInferencer, find_model
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._model_arguments import add_model_arguments, check_model
from rmpe_plugin.deploy import (
    DTYPES,
    HeatmapFormat,
    PoseErrors,
    PoseFormat,
    PoseMetadata,
    RTMLibFormat,
    dataset_crops,
    open_session,
    pytorch_poses,
    quantize_onnx,
    run_in_batches,
    write_onnx,
)
from rmpe_plugin.inference import COLORS, PoseGraph
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

# Largest errors in float32: pixels of the crop, and score.
TOLERANCES = (0.01, 1e-4)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model_arguments(parser, 'pose')
    parser.add_argument('--out', type=Path, required=True, help='ONNX file to write')
    add_graph_arguments(parser)
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        '--precision', choices=('float32', 'fp16'), default='float32',
        help='precision of the network (default: float32)',
    )  # fmt: skip
    precision.add_argument(
        '--int8', action='store_true',
        help='quantise the convolutions to 8 bits; crops of the training data calibrate'
        ' the ranges',
    )  # fmt: skip
    parser.add_argument(
        '--images', nargs='+',
        help='images or folders: whole images are compared instead of crops of the '
        'data sets of the config; with --int8, the first half of them calibrates and '
        'the second half is compared',
    )  # fmt: skip
    parser.add_argument(
        '--crops', type=at_least(1), default=64,
        help='number of crops that are compared, and that calibrate (default: 64)',
    )  # fmt: skip
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='changes to the config, such as model.test_cfg.flip_test=False',
    )  # fmt: skip
    args = parser.parse_args()
    check_model(parser, args)
    if Path(args.config).suffix == '.onnx':
        parser.error(f'{args.config} is an ONNX file already')
    if args.target and (args.color != 'bgr' or args.dtype != 'uint8'):
        parser.error('--for rtmlib sets colour and type: remove --color and --dtype')
    return args


def add_graph_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of inputs and outputs."""
    parser.add_argument(
        '--color', choices=COLORS, default='bgr',
        help='channel order of the crops (default: bgr, as of OpenCV)',
    )  # fmt: skip
    parser.add_argument(
        '--dtype', choices=DTYPES, default='uint8',
        help='type of the crops, whose values are 0 to 255 (default: uint8)',
    )  # fmt: skip
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        '--image-pixels', action='store_true',
        help='add an input inverse_affine (batch, 2, 3), from pixels of the crops to '
        'pixels of the images, in which the keypoints are then',
    )  # fmt: skip
    kind.add_argument(
        '--heatmaps', action='store_true', help='output heatmaps, without decoding'
    )
    kind.add_argument(
        '--for', choices=('rtmlib',), dest='target',
        help="rtmlib: SimCC vectors, for rtmlib's class RTMPose",
    )  # fmt: skip


def make_format(
    args: argparse.Namespace, graph: PoseGraph, metadata: PoseMetadata
) -> PoseFormat:
    """Select the inputs and outputs."""
    if args.target == 'rtmlib':
        return RTMLibFormat(graph, metadata)
    if args.heatmaps:
        return HeatmapFormat(graph, metadata, args.dtype)
    return PoseFormat(graph, metadata, args.dtype, args.image_pixels)


def load_crops(
    args: argparse.Namespace, inferencer: RMPEInferencer
) -> tuple[list[dict], list[dict]]:
    """Load the crops that are compared and, for --int8, others that calibrate."""
    if args.images:
        return crops_of_images(args, inferencer)
    config = inferencer.estimator.config
    compared = crops_of_split(config, 'test', args.crops)
    if not args.int8:
        return compared, []
    calibration = crops_of_split(config, 'train', args.crops)
    shared = image_paths(calibration) & image_paths(compared)
    if shared:
        raise ValueError(
            f'{len(shared)} images, such as {min(shared)}, are in the training data, '
            'which calibrate, and in the test data, which are compared: --images takes '
            'other images'
        )
    return compared, calibration


def crops_of_images(
    args: argparse.Namespace, inferencer: RMPEInferencer
) -> tuple[list[dict], list[dict]]:
    """Whole images; of int8, the first half calibrates, the second is compared."""
    readable = (frame for frame in Frames(args.images) if frame.image is not None)
    frames = list(islice(readable, args.crops * (1 + args.int8)))
    if not frames:
        raise ValueError(f'--images {args.images}: no image can be read')
    half = len(frames) // 2 if args.int8 else 0
    if args.int8 and not half:
        raise ValueError(
            f'--images {args.images}: int8 needs two images, one that calibrates and '
            'one that is compared, got one'
        )
    images = [frame.image for frame in frames]
    crops = list(inferencer.estimator.crops(images, inferencer.detector(images)))
    return crops[half:], crops[:half]


def image_paths(crops: list[dict]) -> set[str]:
    """Files of the images of crops of a data set."""
    return {crop['data_samples'].img_path for crop in crops}


def crops_of_split(config: Config, split: str, number: int) -> list[dict]:
    """Crops of the data of the config."""
    try:
        return dataset_crops(config, split, number)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error}: the crops are those of {split}_dataloader.dataset of the '
            'config; --images takes images instead'
        ) from error


def stack(crops: list[dict]) -> np.ndarray:
    """Stack the crops (N, 3, h, w)."""
    return np.stack([crop['inputs'].numpy() for crop in crops])


def export(args: argparse.Namespace, form: PoseFormat, calibration: list[dict]) -> None:
    """Write the ONNX file."""
    settings = (form.graph, form.examples(), form.outputs)
    properties = form.metadata.to_properties()
    if not args.int8:
        write_onnx(*settings, args.out, properties, form.dynamic_batch)
        return
    batch = 8 if form.dynamic_batch else 1
    images = stack(calibration)
    with TemporaryDirectory() as folder:
        float32 = Path(folder) / 'float32.onnx'
        write_onnx(*settings, float32, properties, form.dynamic_batch)
        feeds = (
            form.feeds(images[i : i + batch]) for i in range(0, len(images), batch)
        )
        quantize_onnx(float32, args.out, feeds)


def compare(form: PoseFormat, model: torch.nn.Module, path: Path, crops: list[dict]):
    """Compare the file with the PyTorch model on crops."""
    session = open_session(path, 'cpu')
    outputs = run_in_batches(
        lambda images: session.run(None, form.feeds(images)),
        stack(crops),
        batch_size=8 if form.dynamic_batch else 1,
    )
    expected = form.expected(pytorch_poses(model, crops))
    return PoseErrors.between(form.poses(outputs), expected)


def report(args: argparse.Namespace, errors: PoseErrors) -> bool:
    """Print the errors; return whether they are as small as the precision allows."""
    precision = 'int8' if args.int8 else args.precision
    keypoints, scores = errors.keypoints.max(), errors.scores.max()
    number = len(errors.keypoints)
    table = Table('', str(args.out))
    table.add_row('size', f'{args.out.stat().st_size / 1e6:.1f} MB, {precision}')
    table.add_row('compared with PyTorch', f'{number} crops')
    table.add_row('largest error of keypoints', f'{keypoints:.2g} pixels of the crop')
    table.add_row('largest error of scores', f'{scores:.2g}')
    table_console().print(table)
    if not np.isfinite((keypoints, scores)).all():
        print('the outputs are not finite', file=sys.stderr)
        return False
    if precision != 'float32':
        return True
    # Rounding to half pixels moves a keypoint by at most 0.35 pixels.
    limit = 0.5 if args.target == 'rtmlib' else TOLERANCES[0]
    if keypoints <= limit and scores <= TOLERANCES[1]:
        return True
    wrong = (errors.keypoints > limit) | (errors.scores > TOLERANCES[1])
    print(
        f'{wrong.sum()} of {wrong.size} keypoints differ by more than {limit} px or '
        f'{TOLERANCES[1]}',
        file=sys.stderr,
    )
    return False


@exit_status
def main() -> bool:
    args = parse_args()
    # With its weights given, a model in this package is loaded for PyTorch.
    config, weights = find_model(args.config, args.checkpoint)
    # The graph is traced on the CPU; the file runs anywhere.
    inferencer = RMPEInferencer(
        config,
        weights,
        'whole_image',
        device='cpu',
        cfg_options=args.cfg_options,
    )
    compared, calibration = load_crops(args, inferencer)
    model = inferencer.estimator.model
    metadata = PoseMetadata.of_model(model, inferencer.estimator.config, args.color)
    dtype = torch.float16 if args.precision == 'fp16' else torch.float32
    form = make_format(args, PoseGraph(model, metadata.color, dtype), metadata)
    export(args, form, calibration)
    return not report(args, compare(form, model, args.out, compared))
