# SPDX-License-Identifier: Apache-2.0
r"""Draw the steps from the boxes of an image to its poses on one sheet.

At the top: the boxes, the poses before pose NMS, and the poses after it. Below, a row
for each of the most confident people: the crop with the window of the STN in white, the
warped image, the heatmaps of GlobalNet and RefineNet, and the heatmaps after the SDTN.
Columns of stages that the model does not have are left out.

Example:
    python -m experiments.visualize_pipeline \
        configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py \
        work_dirs/sstn/epoch_2.pth data/synthetic_people/val/000004.jpg \
        --det configs/quickstart/rtmdet-small_synthetic-160x128.py \
        work_dirs/detector/epoch_2.pth --out work_dirs/sstn/pipeline.png
"""

import argparse

import cv2
import mmcv
import numpy as np
from mmengine.config import DictAction
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.apis import (
    Frame,
    PersonDetector,
    PoseDrawer,
    RMPEInferencer,
    read_image,
)
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.utils.arguments import at_least, existing_file, image_to_write
from rmpe_plugin.visualization import draw_batch_stages, stage_sheet


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config', type=existing_file, help='config of a top-down pose estimator'
    )
    parser.add_argument('checkpoint')
    parser.add_argument('image', type=existing_file)
    parser.add_argument(
        '--det', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        help='detector (default: one box as large as the image)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=image_to_write, required=True, help='image to write'
    )
    parser.add_argument(
        '--num', type=at_least(1), default=3, help='number of people (default: 3)'
    )
    parser.add_argument(
        '--box-thr',
        type=float,
        help='with --det: score threshold of the boxes (default: 0.3)',
    )
    parser.add_argument(
        '--kpt-thr',
        type=float,
        default=0.3,
        help='score threshold of drawn keypoints (default: 0.3)',
    )
    parser.add_argument(
        '--pose-nms', default=DEFAULT_PRESET, metavar='PRESET|FILE',
        help=f'parameters of pose NMS (default: {DEFAULT_PRESET})',
    )  # fmt: skip
    parser.add_argument('--device', help='default: cuda if available')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='as in train.py'
    )
    args = parser.parse_args()
    if args.box_thr is not None and not args.det:
        parser.error('--box-thr needs --det')
    return args


def load(args: argparse.Namespace) -> RMPEInferencer:
    """Load the detector and the pose estimator."""
    detector = 'whole_image'
    if args.det:
        box_thr = 0.3 if args.box_thr is None else args.box_thr
        detector = PersonDetector(*args.det, device=args.device, score_thr=box_thr)
    return RMPEInferencer(
        args.config,
        args.checkpoint,
        detector,
        device=args.device,
        pose_nms=args.pose_nms,
        cfg_options=args.cfg_options,
    )


def resize(image: np.ndarray, width: int) -> np.ndarray:
    """Resize an image to a width, with its aspect ratio."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def draw_poses(
    inferencer: RMPEInferencer, frame: Frame, poses: InstanceData, kpt_thr: float
) -> dict[str, np.ndarray]:
    """Draw the boxes and the poses before and after pose NMS; images by title."""
    before = PoseDataSample()
    before.pred_instances = poses
    (after,) = inferencer.suppress([frame], [poses])
    pose_drawer = PoseDrawer(inferencer.dataset_meta, kpt_thr)
    box_drawer = PoseDrawer(inferencer.dataset_meta, kpt_thr=np.inf)
    return {
        f'boxes: {len(poses)}': box_drawer.draw(frame.image, before),
        f'poses before pose NMS: {len(poses)}': pose_drawer.draw(frame.image, before),
        f'after: {len(after.pred_instances)}': pose_drawer.draw(frame.image, after),
    }


def draw_sheet(
    inferencer: RMPEInferencer, frame: Frame, num: int, kpt_thr: float
) -> np.ndarray:
    """Draw the sheet of one image."""
    if frame.error:
        raise ValueError(f'{frame.name}: {frame.error}')
    (people,) = inferencer.detector([frame.image])
    if not len(people):
        raise ValueError(f'{frame.name}: no person was detected')
    (poses,) = inferencer.estimate([frame], [people])
    poses = poses[np.argsort(-poses.scores)]
    crops = list(inferencer.estimator.crops([frame.image], [poses[:num]]))
    stages = draw_batch_stages(inferencer.estimator.model, pseudo_collate(crops))

    images = draw_poses(inferencer, frame, poses, kpt_thr)
    side = max(stages.shape[1], 960) // len(images)
    top = stage_sheet([{title: resize(x, side) for title, x in images.items()}])
    width = max(top.shape[1], stages.shape[1])
    parts = [
        mmcv.impad(part, shape=(part.shape[0], width), pad_val=255)
        for part in (top, stages)
    ]
    return np.vstack(parts)


def main() -> None:
    args = parse_args()
    try:
        frame = read_image(args.image, image_id=0)
        sheet = draw_sheet(load(args), frame, args.num, args.kpt_thr)
    except (OSError, ValueError) as error:
        raise SystemExit(f'visualize_pipeline.py: error: {error}') from error
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), sheet):
        raise SystemExit(f'could not write {args.out}')
    print(args.out)


if __name__ == '__main__':
    main()
