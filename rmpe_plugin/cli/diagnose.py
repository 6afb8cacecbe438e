# SPDX-License-Identifier: Apache-2.0
r"""Diagnose the errors of a pose estimator from its predictions.

Prints which errors occur and how much AP the correction of each type alone would gain,
and writes an HTML page with the worst examples of each type. With --pred2, two models
are compared, and the page shows the people that improved and worsened most.

Predictions are in COCO's result format, which MMPose writes with
test_evaluator.outfile_prefix, or in AlphaPose's.

Example:
    rmpe diagnose \
        --pred work_dirs/quickstart/detections.keypoints.json \
        --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --images data/synthetic_people/val --out work_dirs/diagnosis
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from rich.progress import track

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.diagnosis import DiagnosedPoses, Diagnosis, ModelReport, write_page
from rmpe_plugin.ops import ErrorThresholds
from rmpe_plugin.structures import read_metainfo
from rmpe_plugin.utils.arguments import at_least, existing_file, existing_folder
from rmpe_plugin.utils.tables import rich_table, table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--pred', type=existing_file, required=True, help='predictions, JSON'
    )
    parser.add_argument(
        '--ann',
        type=existing_file,
        required=True,
        help='COCO annotations of the images',
    )
    parser.add_argument(
        '--images', type=existing_folder, required=True, help='folder of the images'
    )
    parser.add_argument('--out', type=Path, required=True, help='output folder')
    parser.add_argument(
        '--pred2', type=existing_file, help='predictions of a second model, to compare'
    )
    parser.add_argument(
        '--metainfo',
        help="MMPose's file that describes the keypoints (default: the categories of "
        "--ann, or COCO's keypoints if they name none)",
    )
    parser.add_argument(
        '--reference', metavar='KEY',
        help='entry of the annotations with a head box or a reference length, such as '
        'head_box: errors are relative to it, and the AP is the multi-person mAP',
    )  # fmt: skip
    for name, text in (
        ('good', 'lowest similarity of a good keypoint'),
        ('close', 'lowest similarity of a keypoint close to a joint'),
        ('match', 'lowest OKS of a match'),
    ):
        default = getattr(ErrorThresholds, name)
        parser.add_argument(
            f'--{name}',
            type=float,
            default=default,
            help=f'{text} (default: {default})',
        )
    parser.add_argument(
        '--examples', type=at_least(1), default=12,
        help='examples of each type and model on the page (default: 12)',
    )  # fmt: skip
    args = parser.parse_args()
    if args.pred2 and args.pred2.resolve() == args.pred.resolve():
        parser.error('--pred and --pred2 are the same file')
    try:
        args.thresholds = ErrorThresholds(args.good, args.close, args.match)
    except ValueError as error:
        parser.error(str(error))
    return args


def model_names(paths: list[Path]) -> list[str]:
    """Names of the models: the file names, with folders if they are equal."""
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def diagnose(path: Path, name: str, args: argparse.Namespace) -> ModelReport:
    """Diagnose the predictions of one model, with progress bars."""
    meta = read_metainfo(args.ann, args.metainfo)
    poses = DiagnosedPoses.from_files(path, args.ann, meta, args.reference)
    for reason, number in poses.dropped.items():
        print(f'{path}: {number} predictions dropped: {reason}', file=sys.stderr)
    bar = partial(track, description=f'{name}: error types', total=len(poses))
    diagnosis = Diagnosis(poses, args.thresholds, track=bar)
    bar = partial(track, description=f'{name}: corrections')
    return ModelReport.of(name, diagnosis, bar)


@exit_status
def main() -> None:
    args = parse_args()
    paths = [path for path in (args.pred, args.pred2) if path is not None]
    page = args.out / 'diagnosis.html'
    reports = [
        diagnose(path, name, args)
        for path, name in zip(paths, model_names(paths), strict=True)
    ]
    print_tables(reports)
    pictures = write_page(reports, args.images, page, args.examples)
    if pictures.missing:
        names = ', '.join(sorted(pictures.missing)[:3])
        print(
            f'{len(pictures.missing)} images cannot be read and are grey on the page: '
            f'{names}',
            file=sys.stderr,
        )
    print(page)


def print_tables(reports: list[ModelReport]) -> None:
    """Print the tables of each model."""
    console = table_console()
    for report in reports:
        for table in report.tables():
            console.print(rich_table(table, report.name))
