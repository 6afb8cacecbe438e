# SPDX-License-Identifier: Apache-2.0
r"""Write predicted poses in the formats that lifting to three dimensions reads.

The poses are those of rmpe predict (results.json) for a video, or of tools/test.py for
annotations. One person per frame is chosen: --person only raises if a frame shows
several people, best takes the one with the highest score, a number is the person's
track_id of rmpe predict --track, and a JSON file of COCO results with one box per frame
tells who it is.

Formats:
    videopose3d             data set of VideoPose3D, MHFormer and others
    videopose3d-detections  input of VideoPose3D's prepare_data_2d_custom.py
    mhformer                keypoints.npz of MHFormer's demo
    motionagformer          keypoints.npz of MotionAGFormer's demo
    mmpose                  keypoint_2d_det_file of MMPose's lifters

Example:
    rmpe export-lifting work_dirs/demo/results.json --video walk.mp4 \
        --format videopose3d --person best --missing interpolate \
        --out data_2d_custom_walk.npz
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.lifting import (
    FORMATS,
    LAYOUTS,
    MISSING,
    choose_layout,
    read_video_poses,
    write_poses,
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
        '--person', default='only', metavar='only|best|ID|BOXES',
        help='how the person is chosen, see above (default: only)',
    )  # fmt: skip
    parser.add_argument(
        '--missing', choices=MISSING, default='nan',
        help='frames without the person (default: nan)',
    )  # fmt: skip
    return parser.parse_args(argv)


@exit_status
def main() -> None:
    args = parse_args()
    layout = choose_layout(args.format, args.keypoints, args.layout)
    videos = read_video_poses(
        args.results, args.video, args.ann or (), args.person, args.keypoints
    )
    write_poses(args.out, args.format, videos, layout, args.missing)
    kept = 'NaN' if args.missing == 'nan' else 'interpolated'
    if args.format == 'videopose3d-detections':
        kept = kept if args.missing == 'interpolate' else 'empty'
    table = Table('video', 'frames', f'missing ({kept})', 'size', 'frames per second')
    for clip, poses in videos[:10]:
        numbers = (len(poses.missing), int(poses.missing.sum()))
        rate = f'{clip.fps:.5g}' if clip.fps else 'unknown'
        rate += ' (variable)' if clip.is_variable else ''
        table.add_row(clip.name, *map(str, numbers), '{}x{}'.format(*clip.size), rate)
    table_console().print(table)
    print(f'{args.out}: {len(videos)} videos, layout {layout}')
