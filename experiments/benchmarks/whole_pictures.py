# SPDX-License-Identifier: Apache-2.0
"""Measure people per second from whole pictures, beside rtmlib's class Body.

Both have the person detector of this package and the network of photo without flip
test, with onnxruntime. rtmlib cannot read the detector's file. Its Body therefore calls
OnnxPersonDetector, picture after picture. Both find the same people. rtmlib must be
installed: pip install rtmlib

Example:
    python -m experiments.benchmarks.whole_pictures --images tests/data/coco_cc
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import mmcv
import numpy as np
from rich.table import Table

from experiments.benchmarks.side_by_side import measure
from experiments.benchmarks.throughput import (
    NO_FLIP,
    ONNX,
    PHOTOGRAPHS,
    RTMLIB,
    export,
)
from experiments.benchmarks.workloads import busy_cores
from rmpe_plugin.apis import (
    Detector,
    Frames,
    RMPEInferencer,
    find_detector,
    find_model,
    load_detector,
)
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--images', default=PHOTOGRAPHS, help='folder of images (default: %(default)s)'
    )
    parser.add_argument('--rounds', type=at_least(1), default=5, help='default: 5')
    parser.add_argument(
        '--busy', action='store_true', help='another program occupies the cores'
    )
    return parser.parse_args()


def rtmlib_body(pose: Path, size: tuple[int, int], detector: Detector):
    """Make rtmlib's Body with a detector and an exported pose estimator."""
    from rtmlib import Body

    file = str(find_detector('person').config)
    body = Body(file, detector.input_size, str(pose), size, device='cpu')

    def detect(image: np.ndarray) -> np.ndarray:
        (people,) = detector([image])
        return people.bboxes

    body.det_model = detect
    return body


def main() -> None:
    args = parse_args()
    paths = [path for _, path in Frames(args.images).files]
    detector = load_detector('person', device='cpu')
    pytorch = RMPEInferencer(*find_model('photo'), device='cpu', cfg_options=NO_FLIP)
    with TemporaryDirectory() as folder:
        files = export(pytorch, Path(folder))
        here = RMPEInferencer(files[ONNX], detector=detector, device='cpu')
        size = here.estimator.metadata.input_size
        body = rtmlib_body(files[RTMLIB], tuple(size), detector)
    people = sum(len(detector([mmcv.imread(path)])[0]) for path in paths)
    functions = {
        f'{RTMLIB}, Body': lambda: [body(mmcv.imread(path)) for path in paths],
        ONNX: lambda: list(here(paths)),
    }
    with busy_cores(args.busy):
        times = measure(functions, args.rounds)
    table = Table(
        'program', 'pictures/s', 'people/s', 'relative to rtmlib',
        title=f'{len(paths)} pictures, {people} people',
    )  # fmt: skip
    reference = median(next(iter(times.values())))
    for program, values in times.items():
        speeds = (f'{1e3 * n / median(values):.1f}' for n in (len(paths), people))
        table.add_row(program, *speeds, f'{reference / median(values):.2f}')
    table_console().print(table)


if __name__ == '__main__':
    main()
