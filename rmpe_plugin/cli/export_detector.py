# SPDX-License-Identifier: Apache-2.0
r"""Export a person detector, RTMDet of MMDetection, to ONNX for rtmlib.

The file contains NMS and has the format of rtmlib's class RTMDet. The size of its input
is the scale of Resize in the config's test pipeline. The export is compared with
PyTorch on images; the exit status is 1 if boxes differ by more than 0.1 pixels, or if
an image has another number of boxes.

Example:
    rmpe export-detector \
        configs/quickstart/rtmdet-small_synthetic-160x128.py \
        work_dirs/detector/epoch_2.pth --out work_dirs/detector.onnx \
        --images data/synthetic_people/val
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from rmpe_plugin.apis import Frames, PersonDetector
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._model_arguments import add_model_arguments, check_model
from rmpe_plugin.deploy import (
    PersonDetectorGraph,
    compare_detections,
    open_session,
    write_onnx,
)
from rmpe_plugin.utils.tables import table_console

TOLERANCE = 0.1  # pixels of the input
COMPARED = 32  # images


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model_arguments(parser, 'detector')
    parser.add_argument('--out', type=Path, required=True, help='ONNX file to write')
    parser.add_argument(
        '--images', nargs='+', required=True,
        help=f'images or folders; the first {COMPARED} are compared with PyTorch',
    )  # fmt: skip
    args = parser.parse_args()
    check_model(parser, args)
    return args


def read_images(inputs: list[str]) -> list[np.ndarray]:
    """Read the first images that can be read."""
    readable = (frame.image for frame in Frames(inputs) if frame.image is not None)
    images = list(islice(readable, COMPARED))
    if not images:
        raise ValueError(f'--images {" ".join(inputs)}: no image can be read')
    return images


@exit_status
def main() -> None:
    args = parse_args()
    images = read_images(args.images)
    detector = PersonDetector(args.config, args.checkpoint, device='cpu')
    if detector.input_size is None:
        raise ValueError(
            f"{args.config}: test_pipeline has no Resize with 'scale', which is the "
            'size of the exported input'
        )
    width, height = detector.input_size
    if len(detector.labels) > 1:
        raise ValueError(
            f'{args.config} detects {len(detector.labels)} classes: only detectors of '
            'one class can be exported'
        )
    graph = PersonDetectorGraph(detector.model, *detector.labels).eval()
    inputs = dict(input=torch.zeros(1, 3, height, width))
    write_onnx(graph, inputs, ['dets'], args.out, {}, dynamic_batch=False)
    session = open_session(args.out, 'cpu')

    comparison = compare_detections(session, detector, (width, height), images)
    table = Table('', str(args.out))
    table.add_row('input', f'{width}x{height}')
    table.add_row('size', f'{args.out.stat().st_size / 1e6:.1f} MB')
    table.add_row('compared with PyTorch', f'{len(images)} images')
    table.add_row('boxes: PyTorch, ONNX', f'{comparison.expected}, {comparison.found}')
    table.add_row('largest error of boxes', f'{comparison.error:.2g} pixels')
    table_console().print(table)
    # "not <=": the error is NaN if boxes are
    if comparison.unequal or not comparison.error <= TOLERANCE:
        raise ValueError(
            f'the detections differ: largest error {comparison.error:.2g} pixels, at '
            f'most {TOLERANCE} is allowed; another number of boxes in '
            f'{comparison.unequal} of {len(images)} images'
        )
