# SPDX-License-Identifier: Apache-2.0
r"""Write predicted poses in the formats that lifting to three dimensions reads.

The poses are those of tools/demo.py (results.json) for a video, or of tools/test.py for
annotations. One person per frame is chosen: --person only raises if a frame shows
several people, best takes the one with the highest score, and a JSON file of COCO
results with one box per frame tells who it is.

Formats:
    videopose3d             data set of VideoPose3D, MHFormer and others
    videopose3d-detections  input of VideoPose3D's prepare_data_2d_custom.py
    mhformer                keypoints.npz of MHFormer's demo
    motionagformer          keypoints.npz of MotionAGFormer's demo
    mmpose                  keypoint_2d_det_file of MMPose's lifters

Example:
    python tools/export_lifting.py work_dirs/demo/results.json --video walk.mp4 \
        --format videopose3d --person best --missing interpolate \
        --out data_2d_custom_walk.npz
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from rmpe_plugin.lifting import (
    CHOICES,
    FORMATS,
    LAYOUTS,
    MISSING,
    Clip,
    PoseSequence,
    annotated_clips,
    choose_layout,
    choose_person,
    video_clip,
    write_poses,
)
from rmpe_plugin.structures import (
    boxes_from_records,
    group_by_image,
    poses_from_records,
    read_person_boxes,
    read_results,
)
from rmpe_plugin.utils.tables import table_console


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', type=Path, help='COCO results with keypoints')
    frames = parser.add_mutually_exclusive_group(required=True)
    frames.add_argument('--video', type=Path, help='the video of the results')
    frames.add_argument(
        '--ann', type=Path, nargs='+',
        help='COCO annotations of the results; images are named VIDEO_NUMBER',
    )  # fmt: skip
    parser.add_argument('--format', choices=FORMATS, required=True)
    parser.add_argument('--out', type=Path, required=True, help='file to write')
    parser.add_argument(
        '--keypoints', choices=LAYOUTS, default='coco',
        help='layout of the results (default: coco)',
    )  # fmt: skip
    parser.add_argument(
        '--layout', choices=LAYOUTS,
        help='layout of the file (default: that of the format or of the results)',
    )  # fmt: skip
    parser.add_argument(
        '--person', default='only', metavar='only|best|BOXES',
        help='how the person is chosen, see above (default: only)',
    )  # fmt: skip
    parser.add_argument(
        '--missing', choices=MISSING, default='nan',
        help='frames without the person (default: nan)',
    )  # fmt: skip
    return parser.parse_args(argv)


def read_clips(args: argparse.Namespace, ids: set[int | str]) -> list[Clip]:
    """Describe the videos; ``ids`` are those of the results."""
    if args.ann:
        return annotated_clips(args.ann, ids)
    prefix_ids = f'{args.video.stem}/' in {str(i).rpartition('/')[0] + '/' for i in ids}
    return [video_clip(args.video, prefix_ids)]


def boxes_of_person(path: str, records: dict, clip: Clip) -> np.ndarray:
    """Boxes of the person in each frame (F, 4), NaN where there is none."""
    boxes = np.full((len(clip.image_ids), 4), np.nan)
    for row, image_id in enumerate(clip.image_ids):
        found = records.get(image_id, [])
        if len(found) > 1:
            raise ValueError(
                f'{path}: one box per frame is needed, image {image_id} has '
                f'{len(found)}'
            )
        if found:
            boxes[row] = boxes_from_records(found).bboxes[0]
    return boxes


def choose(args: argparse.Namespace) -> list[tuple[Clip, PoseSequence]]:
    """Choose the person in all videos."""
    records = read_results(args.results, {'image_id', 'keypoints', 'bbox', 'score'})
    numbers = {len(record['keypoints']) // 3 for record in records}
    if numbers - {17}:
        raise ValueError(
            f'{args.results}: results must have 17 keypoints, got {sorted(numbers)}'
        )
    by_image = group_by_image(records)
    clips = read_clips(args, set(by_image))
    boxes = None if args.person in CHOICES else read_boxes(args.person, clips)
    videos = []
    for clip in clips:
        frames = [poses_from_records(by_image.get(i, []), 17) for i in clip.image_ids]
        person = (
            args.person if boxes is None else boxes_of_person(args.person, boxes, clip)
        )
        videos.append((clip, choose_person(frames, person, args.keypoints, clip.name)))
    return videos


def read_boxes(path: str, clips: list[Clip]) -> dict[int | str, list[dict]]:
    """Read boxes by image."""
    boxes = group_by_image(read_person_boxes(Path(path)))
    ids = [image_id for clip in clips for image_id in clip.image_ids]
    if not boxes.keys() & set(ids):
        raise ValueError(
            f'{path}: no box belongs to any frame: image ids of the boxes are '
            f'{[*boxes][:3]}, those of the frames {ids[:3]}'
        )
    return boxes


def main() -> int:
    args = parse_args()
    try:
        layout = choose_layout(args.format, args.keypoints, args.layout)
        videos = choose(args)
        write_poses(args.out, args.format, videos, layout, args.missing)
    except (OSError, ValueError) as error:
        print(f'export_lifting.py: error: {error}', file=sys.stderr)
        return 2
    kept = 'NaN' if args.missing == 'nan' else 'interpolated'
    if args.format == 'videopose3d-detections':
        kept = kept if args.missing == 'interpolate' else 'empty'
    table = Table('video', 'frames', f'missing ({kept})', 'size', 'frames per second')
    for clip, poses in videos[:10]:
        numbers = (len(poses.missing), int(poses.missing.sum()))
        rate = f'{clip.fps:g}' if clip.fps else 'unknown'
        table.add_row(clip.name, *map(str, numbers), '{}x{}'.format(*clip.size), rate)
    table_console().print(table)
    print(f'{args.out}: {len(videos)} videos, layout {layout}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
