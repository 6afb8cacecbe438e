# SPDX-License-Identifier: Apache-2.0
"""Find people's poses in pictures, videos and cameras.

People come from a detector of MMDetection, from boxes that are given as COCO results,
or from the whole image. Writes annotated pictures or videos, COCO results
(results.json) and AlphaPose's form of them (alphapose-results.json). What cannot be
read is passed over and listed last; the exit status is 1 then.

Example:
    python tools/demo.py configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py \
        work_dirs/quickstart/epoch_3.pth data/synthetic_people/val \
        --det configs/quickstart/rtmdet-small_synthetic-320x256.py \
        work_dirs/detector/epoch_2.pth --out work_dirs/demo
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import DictAction
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from rmpe_plugin.apis import (
    Artist,
    Frames,
    JsonList,
    PersonDetector,
    PictureWriter,
    Posed,
    RMPEInferencer,
    alphapose_records,
)
from rmpe_plugin.structures import SCORE_MODES, poses_to_records


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='of a top-down pose estimator')
    parser.add_argument('checkpoint')
    parser.add_argument(
        'inputs', nargs='+',
        help="pictures, videos, folders, globs in quotes, 'webcam' or 'webcam:1'",
    )  # fmt: skip
    people = parser.add_mutually_exclusive_group(required=True)
    people.add_argument(
        '--det', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        help="detector; the config may be MMDetection's own, mmdet::...",
    )  # fmt: skip
    people.add_argument(
        '--boxes', type=Path, help="COCO results; an image's id is its file's name"
    )
    people.add_argument('--whole-image', action='store_true')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument('--no-pictures', action='store_true', help='write JSON alone')
    parser.add_argument('--show', action='store_true', help='in a window; q ends it')
    parser.add_argument(
        '--box-thr', type=float, default=0.3, help="of the detector's (default: 0.3)"
    )
    parser.add_argument(
        '--pose-nms', default='rmpe-paper', metavar='PRESET|FILE|none',
        help='default: rmpe-paper',
    )  # fmt: skip
    parser.add_argument(
        '--score-mode', choices=SCORE_MODES, default='bbox_keypoint',
        help='of a person, in COCO results (default: bbox_keypoint)',
    )  # fmt: skip
    parser.add_argument(
        '--score-thr', type=float, default=0.2,
        help='people who score less are not drawn (default: 0.2)',
    )  # fmt: skip
    parser.add_argument(
        '--kpt-thr', type=float, default=0.65,
        help='keypoints that score less are not drawn (default: 0.65; CPN scores a '
        'joint without evidence 0.5)',
    )  # fmt: skip
    parser.add_argument('--image-batch', type=int, default=4, help='default: 4')
    parser.add_argument('--person-batch', type=int, default=32, help='default: 32')
    parser.add_argument('--device', help='default: cuda where there is one')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='as in train.py'
    )
    args = parser.parse_args()
    if not args.config.is_file():
        parser.error(f'{args.config} does not exist')
    try:
        args.frames = Frames(args.inputs)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if args.out.resolve() in {path.resolve().parent for path in args.frames.paths}:
        parser.error(f'--out {args.out}: what is read from there would be overwritten')
    return args


def start(args: argparse.Namespace) -> tuple[RMPEInferencer, Iterator[Posed]]:
    """Load the models."""
    detector = 'whole_image' if args.whole_image else None
    if args.det:
        detector = PersonDetector(*args.det, device=args.device, score_thr=args.box_thr)
    inferencer = RMPEInferencer(
        args.config,
        args.checkpoint,
        detector,
        device=args.device,
        pose_nms=None if args.pose_nms == 'none' else args.pose_nms,
        score_mode=args.score_mode,
        image_batch=args.image_batch,
        person_batch=args.person_batch,
        cfg_options=args.cfg_options,
    )
    return inferencer, inferencer(args.frames, args.boxes)


def with_progress(posed: Iterator[Posed], total: int | None) -> Iterator[Posed]:
    """Show how far it is, and how many people a second."""
    progress = Progress(
        TextColumn('poses'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn('{task.fields[people]} people, {task.fields[rate]:.1f} a second'),
    )  # fmt: skip
    with progress:
        task = progress.add_task('', total=total, people=0, rate=0.0)
        people = 0
        for one in posed:
            people += len(one.poses.pred_instances)
            elapsed = progress.tasks[0].elapsed or np.inf
            progress.update(task, advance=1, people=people, rate=people / elapsed)
            yield one


def wants_to_end(picture: np.ndarray) -> bool:
    """Show a picture; whether q was pressed."""
    cv2.imshow('poses', picture)
    return cv2.waitKey(1) & 0xFF == ord('q')


def main() -> int:
    args = parse_args()
    try:
        inferencer, posed = start(args)
    except (OSError, ValueError) as error:
        print(f'demo.py: error: {error}', file=sys.stderr)
        return 2
    artist = Artist(inferencer.dataset_meta, args.kpt_thr, args.score_thr)
    failed, people = [], 0
    with (
        closing(PictureWriter(args.out)) as pictures,
        JsonList(args.out / 'results.json') as coco,
        JsonList(args.out / 'alphapose-results.json') as alphapose,
        # so ends a camera
        suppress(KeyboardInterrupt),
    ):
        for frame, poses in with_progress(posed, args.frames.number):
            if frame.error:
                failed.append(frame)
                continue
            people += len(poses.pred_instances)
            coco.extend(poses_to_records(frame.image_id, poses.pred_instances))
            alphapose.extend(alphapose_records(frame, poses))
            if args.no_pictures and not args.show:
                continue
            picture = artist.draw(frame.image, poses)
            if not args.no_pictures:
                pictures.write(frame, picture)
            if args.show and wants_to_end(picture):
                break
    print(f'{people} people')
    for path in (coco.path, alphapose.path, *pictures.written[:8]):
        print(path)
    if len(pictures.written) > 8:
        print(f'... {len(pictures.written)} pictures and videos')
    for frame in failed:
        print(f'passed over: {frame.name}: {frame.error}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
