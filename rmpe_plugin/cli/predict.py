# SPDX-License-Identifier: Apache-2.0
r"""Predict the poses of all people in images, videos or a camera's stream.

Person boxes come from the detector in this package, from another one (--det), from a
JSON file of COCO results (--boxes), or are the whole image (--whole-image). Writes
annotated images and videos, COCO results (results.json), AlphaPose results
(alphapose-results.json), and results of OpenPose or MOTChallenge (--format). With
--track, people have ids. Files that cannot be read are skipped and listed at the end
with the reason, as are damaged parts of videos and files that cannot be written; the
exit status is then 1.

The model is a name that rmpe models lists, an ONNX file of rmpe export, or a config and
its checkpoint. Without a model, it is 'photo', which is in the package. The weights of
other names are downloaded once.

Example:
    rmpe predict photograph.jpg --whole-image --out work_dirs/photo
    rmpe predict human photograph.jpg --det human --out work_dirs/human
    rmpe predict video.mp4 --track --out work_dirs/video
    rmpe predict configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py \
        work_dirs/quickstart/epoch_3.pth data/synthetic_people/val \
        --det configs/quickstart/rtmdet-small_synthetic-160x128.py \
        work_dirs/detector/epoch_2.pth --out work_dirs/demo
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from rmpe_plugin.apis import (
    COLOR_BY,
    OPENPOSE_FORMATS,
    WHOLE_IMAGE,
    Detector,
    Frames,
    MotWriter,
    OpenPoseWriter,
    PoseDrawer,
    PoseExporter,
    PoseResult,
    ResultWriter,
    RMPEInferencer,
    load_detector,
)
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._inference_arguments import (
    add_detector,
    add_inputs,
    add_settings,
    add_tiles,
    parse,
    settings,
)
from rmpe_plugin.utils.tables import table_console

# Formats of results besides COCO's and AlphaPose's.
FORMATS = (*OPENPOSE_FORMATS, 'mot')

# Number of written files that are listed at the end.
LISTED = 10


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='%(prog)s [MODEL [CHECKPOINT]] INPUT ... '
        '[--det MODEL [CHECKPOINT] | --boxes FILE | --whole-image] [--out OUT] '
        '[options]',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_input_arguments(parser)
    add_settings(parser)
    add_drawing_arguments(parser)
    args = parse(parser, 'images, videos, folders or a webcam')
    try:
        args.frames = Frames(args.inputs)
    except (OSError, ValueError) as error:
        is_word = args.model is not None and not Path(args.inputs[0]).exists()
        parser.error(f'{error}{", and no model has this name" if is_word else ""}')
    has_detector_options = (
        args.tiles or args.min_box_area is not None or args.box_thr is not None
    )
    if (args.boxes or args.whole_image) and has_detector_options:
        parser.error('--box-thr, --min-box-area and --tiles need a detector')
    check_tracking(parser, args)
    if args.out.resolve() in {path.resolve().parent for path in args.frames.paths}:
        parser.error(
            f'--out {args.out}: input files in this folder would be overwritten'
        )
    return args


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the models, inputs and outputs."""
    add_inputs(
        parser,
        "images, videos, folders, quoted globs, 'webcam' or 'webcam:INDEX', addresses "
        'of images or streams (http://, https://, rtsp://), a text file (.txt) of '
        "these, one a line, or '-' for such a list on the standard input",
    )
    people = parser.add_mutually_exclusive_group()
    add_detector(people)
    people.add_argument(
        '--boxes', type=Path,
        help='JSON file of person boxes, COCO results or annotations; boxes belong to '
        'images by file name, or without names by id, the number in the file name',
    )  # fmt: skip
    people.add_argument(
        '--whole-image',
        action='store_true',
        help='one box per image, of the size of the image',
    )
    add_tiles(parser)
    parser.add_argument(
        '--out', type=Path, default='poses', help='output folder (default: poses)'
    )
    parser.add_argument(
        '--format', choices=FORMATS,
        help='write results in another format, too: of OpenPose, with its 25 points or '
        '18 points as AlphaPose, to OUT/openpose, or of tracking as MOTChallenge, to '
        'OUT/mot',
    )  # fmt: skip
    parser.add_argument(
        '--no-images', action='store_true',
        help='write only the JSON files, no annotated images and videos',
    )  # fmt: skip
    parser.add_argument(
        '--show', action='store_true', help='show the poses in a window; q stops'
    )


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of what is drawn."""
    parser.add_argument(
        '--score-thr', type=float, default=0.1,
        help='people with a lower score are not drawn (default: 0.1)',
    )  # fmt: skip
    parser.add_argument(
        '--kpt-thr', type=float, default=0.3,
        help='keypoints with a lower score are not drawn (default: 0.3)',
    )  # fmt: skip
    parser.add_argument('--no-boxes', action='store_true', help='draw no boxes')
    parser.add_argument(
        '--skeleton-only', action='store_true',
        help='draw poses on black instead of the image, without boxes',
    )  # fmt: skip
    parser.add_argument(
        '--color-by', choices=COLOR_BY,
        help="colours: the model's of each keypoint; one of each person of an image, "
        'which is not the same in the next frame; or one of each id (default: id with '
        '--track, otherwise keypoint)',
    )  # fmt: skip


def check_tracking(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Exit with an error if options need other ones; set the default of colours."""
    if args.det_every > 1 and args.track != 'pose':
        parser.error('--det-every needs --track pose')
    if args.det_every > 1 and args.boxes:
        parser.error('--det-every needs a detector')
    for option, is_given in {
        '--smooth': args.smooth,
        '--format mot': args.format == 'mot',
        '--color-by id': args.color_by == 'id',
    }.items():
        if is_given and not args.track:
            parser.error(f'{option} needs --track')
    args.color_by = args.color_by or ('id' if args.track else 'keypoint')


def build_detector(args: argparse.Namespace) -> Detector | None:
    """Load the person detector; None if boxes are given."""
    if args.boxes:
        return None
    names = [WHOLE_IMAGE] if args.whole_image else args.det
    return load_detector(
        *names,
        device=args.device,
        score_thr=args.box_thr,
        tiles=args.tiles,
        min_box_area=args.min_box_area,
    )


def start(args: argparse.Namespace) -> tuple[RMPEInferencer, Iterator[PoseResult]]:
    """Load the models and start the inference."""
    inferencer = RMPEInferencer(
        args.config, args.checkpoint, build_detector(args), **settings(args)
    )
    return inferencer, inferencer(args.frames, args.boxes)


def export(
    args: argparse.Namespace, inferencer: RMPEInferencer, results: Iterator[PoseResult]
) -> PoseExporter:
    """Export all poses, with a progress bar, until the end, q or Ctrl-C."""
    drawer = PoseDrawer(
        inferencer.dataset_meta,
        args.kpt_thr,
        args.score_thr,
        boxes=not (args.no_boxes or args.skeleton_only),
        black=args.skeleton_only,
        color_by=args.color_by,
    )
    writer: ResultWriter | None = None
    if args.format == 'mot':
        writer = MotWriter(args.out / 'mot')
    elif args.format:
        folder, meta = args.out / 'openpose', inferencer.dataset_meta
        writer = OpenPoseWriter(folder, meta, args.format)
    exporter = PoseExporter(args.out, drawer, not args.no_images, args.show, writer)
    columns = (
        TextColumn('poses'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn('{task.fields[people]} people, {task.fields[rate]:.1f}/s'),
    )
    with exporter, Progress(*columns) as progress, suppress(KeyboardInterrupt):
        task = progress.add_task('', total=args.frames.number, people=0, rate=0.0)
        for result in results:
            proceed = exporter.add(result)
            people, elapsed = exporter.people, progress.tasks[0].elapsed
            rate = people / elapsed if elapsed else 0.0
            progress.update(task, advance=1, people=people, rate=rate)
            if not proceed:
                break
    return exporter


def print_summary(exporter: PoseExporter, runtime: str) -> None:
    """Print the counts, the runtime, the written files and the skipped frames."""
    table = Table('frames', 'people', 'skipped', 'runtime')
    counts = (exporter.frames, exporter.people, len(exporter.failed))
    table.add_row(*map(str, counts), runtime)
    table_console().print(table)
    for path in exporter.written[:LISTED]:
        print(path)
    if len(exporter.written) > LISTED:
        print(f'... {len(exporter.written)} files in total')
    for frame in exporter.failed:
        print(f'skipped: {frame.name}: {frame.error}', file=sys.stderr)


@exit_status
def main() -> bool:
    args = parse_args()
    inferencer, results = start(args)
    exporter = export(args, inferencer, results)
    print_summary(exporter, inferencer.estimator.runtime)
    return bool(exporter.failed)
