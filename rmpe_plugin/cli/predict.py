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

from mmengine.config import DictAction
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
    PRECISIONS,
    WHOLE_IMAGE,
    Detector,
    Frames,
    MinAreaDetector,
    MotWriter,
    OpenPoseWriter,
    PoseDrawer,
    PoseExporter,
    PoseResult,
    ResultWriter,
    RMPEInferencer,
    TiledDetector,
    find_model,
    load_detector,
)
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._model_arguments import (
    CHECKPOINT,
    EXAMPLES,
    MODEL,
    is_pose_model,
    take_model,
)
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.structures import SCORE_MODES
from rmpe_plugin.tracking import TRACKERS
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

# The model without one in the arguments.
DEFAULT_MODEL = 'photo'

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
    add_threshold_arguments(parser)
    add_drawing_arguments(parser)
    add_tracking_arguments(parser)
    add_runtime_arguments(parser)
    args = parser.parse_args()
    try:
        take_models(args)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    if not args.inputs:
        parser.error('inputs are missing: images, videos, folders or a webcam')
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


def take_models(args: argparse.Namespace) -> None:
    """Take the pose estimator and the detector from the arguments; inputs are left.

    Raises:
        OSError: If a file does not exist.
        ValueError: If no model has the name, or a checkpoint is missing.
    """
    if args.model is None and args.inputs and is_pose_model(args.inputs[0]):
        model = take_model(args.inputs)
    else:
        args.model = args.model or DEFAULT_MODEL
        model = (args.model, None)
    find_model(*model)  # raises if there is none
    args.config, args.checkpoint = model
    # Inputs after the detector are not part of it.
    words, args.det = args.det, take_model(args.det)
    args.inputs += words


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the models, inputs and outputs."""
    parser.add_argument(
        'inputs', nargs='*', metavar='[MODEL [CHECKPOINT]] INPUT',
        help=f'the pose model: {MODEL.format(example=EXAMPLES["pose"])}; or an ONNX '
        f'file (default: {DEFAULT_MODEL}); {CHECKPOINT}. Then images, videos, folders, '
        "quoted globs, 'webcam' or 'webcam:INDEX', addresses of images or streams "
        "(http://, https://, rtsp://), a text file (.txt) of these, one a line, or '-' "
        'for such a list on the standard input',
    )  # fmt: skip
    parser.add_argument(
        '--model', metavar='MODEL',
        help='the pose model, if an input has its name',
    )  # fmt: skip
    people = parser.add_mutually_exclusive_group()
    people.add_argument(
        '--det', nargs='+', default=['person'], metavar=('MODEL', 'CHECKPOINT'),
        help=f'person detector: {MODEL.format(example=EXAMPLES["detector"])}; or an '
        f"ONNX file; {CHECKPOINT} (default: 'person', in this package)",
    )  # fmt: skip
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
    parser.add_argument(
        '--tiles', action='store_true',
        help='detect in four overlapping tiles too, for people who are small in the '
        'image; takes five times as long',
    )  # fmt: skip
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


def add_threshold_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of which people are kept."""
    parser.add_argument(
        '--box-thr', type=float,
        help='boxes of the detector with a lower score are dropped (default: 0.35 for '
        "'person', otherwise 0.3)",
    )  # fmt: skip
    parser.add_argument(
        '--min-box-area', type=float, metavar='AREA',
        help='boxes of the detector with a smaller area in square pixels are dropped '
        '(default: none are)',
    )  # fmt: skip
    parser.add_argument(
        '--pose-nms', default=DEFAULT_PRESET, metavar='PRESET|FILE|none',
        help='pose NMS: a preset, a JSON file of parameters, or none (default: '
        '%(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--score-mode', choices=SCORE_MODES, default='bbox_keypoint',
        help='person score in the COCO results (default: bbox_keypoint)',
    )  # fmt: skip


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


def add_tracking_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ids in videos."""
    parser.add_argument(
        '--track', nargs='?', choices=TRACKERS, const='pose',
        help='give people ids, which stay the same over the frames of a video, or of '
        "the images of a folder: by boxes and poses ('pose', the default of the "
        "option), or by boxes with a tracker of the extra 'track'",
    )  # fmt: skip
    parser.add_argument(
        '--det-every', type=at_least(1), default=1, metavar='N',
        help='with --track pose: detect people in every Nth frame; between them, boxes '
        'follow the poses (default: 1)',
    )  # fmt: skip
    parser.add_argument(
        '--smooth', action='store_true',
        help='with --track: smooth the keypoints of each person over time',
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


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of how the models run."""
    parser.add_argument(
        '--image-batch', type=at_least(1), default=8,
        help='images that are processed together (default: 8)',
    )  # fmt: skip
    parser.add_argument(
        '--person-batch', type=at_least(1), default=32,
        help='batch size of the pose estimator, people (default: 32)',
    )  # fmt: skip
    parser.add_argument(
        '--precision', choices=PRECISIONS, default='float32',
        help='bfloat16 is faster for many people on CPUs with AMX or AVX512-BF16 '
        '(default: float32)',
    )  # fmt: skip
    parser.add_argument(
        '--flip', action=argparse.BooleanOptionalAction,
        help='flip test: average with the poses in the mirrored crop, which takes '
        "twice as long (default: as the model's config)",
    )  # fmt: skip
    parser.add_argument('--device', help='default: cuda if available, otherwise cpu')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='changes to the config of the pose estimator, as in train.py',
    )  # fmt: skip


def build_detector(args: argparse.Namespace) -> Detector | None:
    """Load the person detector; None if boxes are given."""
    if args.boxes:
        return None
    names = [WHOLE_IMAGE] if args.whole_image else args.det
    detector = load_detector(*names, device=args.device, score_thr=args.box_thr)
    if args.tiles:
        detector = TiledDetector(detector)
    if args.min_box_area is not None:
        detector = MinAreaDetector(detector, args.min_box_area)
    return detector


def start(args: argparse.Namespace) -> tuple[RMPEInferencer, Iterator[PoseResult]]:
    """Load the models and start the inference."""
    cfg_options = dict(args.cfg_options or {})
    if args.flip is not None:
        cfg_options['model.test_cfg.flip_test'] = args.flip
    inferencer = RMPEInferencer(
        args.config,
        args.checkpoint,
        build_detector(args),
        device=args.device,
        precision=args.precision,
        pose_nms=None if args.pose_nms == 'none' else args.pose_nms,
        score_mode=args.score_mode,
        image_batch=args.image_batch,
        person_batch=args.person_batch,
        track=args.track,
        det_every=args.det_every,
        smooth=args.smooth,
        cfg_options=cfg_options,
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
