# SPDX-License-Identifier: Apache-2.0
"""Draw one picture's way from boxes to poses on one sheet.

Above: the boxes, the poses of all of them, and those that pose NMS keeps. Below, a row
for each of the most confident people: the crop with the window that the STN chose in
white, that window, the heatmaps of GlobalNet and RefineNet, and the heatmaps that the
SDTN brought back. A model without an STN, or without RefineNet, has fewer columns.

Example:
    python tools/visualize_pipeline.py \
        configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py \
        work_dirs/sstn/epoch_2.pth data/synthetic_people/val/000004.jpg \
        --det configs/quickstart/rtmdet-small_synthetic-320x256.py \
        work_dirs/detector/epoch_2.pth --out work_dirs/sstn/pipeline.png
"""

import argparse
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmengine.config import DictAction
from mmengine.dataset import pseudo_collate
from mmpose.structures import PoseDataSample

from rmpe_plugin.apis import (
    Artist,
    Frame,
    PersonDetector,
    RMPEInferencer,
    read_picture,
)
from rmpe_plugin.visualization import stage_pictures, stage_sheet


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='of a top-down pose estimator')
    parser.add_argument('checkpoint')
    parser.add_argument('picture', type=Path)
    parser.add_argument(
        '--det', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        help='detector (default: one person as large as the picture)',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='picture to write')
    parser.add_argument('--num', type=int, default=3, help='people (default: 3)')
    parser.add_argument(
        '--box-thr', type=float, default=0.3, help="of the detector's (default: 0.3)"
    )
    parser.add_argument('--kpt-thr', type=float, default=0.65, help='default: 0.65')
    parser.add_argument(
        '--pose-nms', default='rmpe-paper', metavar='PRESET|FILE',
        help='default: rmpe-paper',
    )  # fmt: skip
    parser.add_argument('--device', help='default: cuda where there is one')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='as in train.py'
    )
    args = parser.parse_args()
    for path in (args.config, args.picture):
        if not path.is_file():
            parser.error(f'{path} does not exist')
    if args.num < 1:
        parser.error('--num must be at least 1')
    return args


def load(args: argparse.Namespace) -> RMPEInferencer:
    """The models."""
    detector = 'whole_image'
    if args.det:
        detector = PersonDetector(*args.det, device=args.device, score_thr=args.box_thr)
    return RMPEInferencer(
        args.config,
        args.checkpoint,
        detector,
        device=args.device,
        pose_nms=args.pose_nms,
        cfg_options=args.cfg_options,
    )


def resize(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture as wide as that."""
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def draw(
    inferencer: RMPEInferencer, frame: Frame, num: int, kpt_thr: float
) -> np.ndarray:
    """The sheet of one picture."""
    (people,) = inferencer.find([frame])
    if frame.error or not len(people):
        raise ValueError(f'{frame.name}: {frame.error or "nobody was found"}')
    (poses,) = inferencer.estimate([frame], [people])
    poses = poses[np.argsort(-poses.scores)]
    crops = list(inferencer.crops([frame], [poses[:num]]))
    batch = inferencer.model.data_preprocessor(pseudo_collate(crops))
    below = stage_sheet(stage_pictures(inferencer.model, batch['inputs']))

    before = PoseDataSample()
    before.pred_instances = poses
    after = inferencer.suppress(frame, poses)
    with_poses = Artist(inferencer.dataset_meta, kpt_thr)
    boxes_alone = Artist(inferencer.dataset_meta, kpt_thr=np.inf)
    pictures = {
        f'boxes: {len(poses)}': boxes_alone.draw(frame.image, before),
        f'poses before pose NMS: {len(poses)}': with_poses.draw(frame.image, before),
        f'after: {len(after.pred_instances)}': with_poses.draw(frame.image, after),
    }
    side = max(below.shape[1], 960) // len(pictures)
    above = stage_sheet([{k: resize(v, side) for k, v in pictures.items()}])
    width = max(above.shape[1], below.shape[1])
    parts = [
        mmcv.impad(part, shape=(part.shape[0], width), pad_val=255)
        for part in (above, below)
    ]
    return np.vstack(parts)


def main() -> None:
    args = parse_args()
    try:
        frame = read_picture(args.picture, image_id=0)
        sheet = draw(load(args), frame, args.num, args.kpt_thr)
    except (OSError, ValueError) as error:
        raise SystemExit(f'visualize_pipeline.py: error: {error}') from error
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), sheet):
        raise SystemExit(f'could not write {args.out}')
    print(args.out)


if __name__ == '__main__':
    main()
