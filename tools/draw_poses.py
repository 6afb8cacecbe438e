# SPDX-License-Identifier: Apache-2.0
"""Draw predicted poses beside the true ones, one picture an image.

Reads what MMPose's CocoMetric writes with ``outfile_prefix``.

Example:
    python tools/draw_poses.py --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --images data/synthetic_people/val \
        --pred work_dirs/quickstart/val.keypoints.json --out work_dirs/quickstart/pictures
"""  # noqa: E501

import argparse
import json
from collections import defaultdict
from pathlib import Path

import mmcv
import numpy as np
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from rich.progress import track

from rmpe_plugin.visualization import NumpySafePoseVisualizer


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--ann', type=Path, required=True, help='COCO annotations')
    parser.add_argument('--pred', type=Path, required=True, help='COCO results')
    parser.add_argument('--images', type=Path, required=True, help='folder of images')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument('--num', type=int, default=8, help='how many images to draw')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='poses below are not drawn'
    )
    parser.add_argument(
        '--kpt-thr',
        type=float,
        default=0.65,
        help='keypoints below are not drawn (CPN scores a joint without evidence 0.5)',
    )
    parser.add_argument(
        '--scale', type=float, default=1.0, help='size of the pictures to the images'
    )
    parser.add_argument(
        '--metainfo',
        default='configs/_base_/datasets/coco.py',
        help="the data set's keypoints, as MMPose's data sets name them",
    )
    args = parser.parse_args()
    for path in (args.ann, args.pred, args.images):
        if not path.exists():
            parser.error(f'{path} does not exist')
    return args


def poses_by_image(records: list[dict]) -> dict[int, np.ndarray]:
    """Group COCO records into (N, K, 3) arrays by image."""
    grouped = defaultdict(list)
    for record in records:
        grouped[record['image_id']].append(np.reshape(record['keypoints'], (-1, 3)))
    return {image_id: np.stack(poses) for image_id, poses in grouped.items()}


def instances(poses: np.ndarray, scale: float) -> InstanceData:
    """Poses (N, K, 3) as the visualiser takes them, on a picture ``scale`` as large."""
    return InstanceData(
        keypoints=poses[..., :2] * scale, keypoints_visible=poses[..., 2]
    )


def main() -> None:
    args = parse_args()
    meta = parse_pose_metainfo(dict(from_file=args.metainfo))
    visualizer = NumpySafePoseVisualizer(radius=3, line_width=2)
    visualizer.set_dataset_meta(meta)

    truth = json.loads(args.ann.read_text())
    true_poses = poses_by_image([a for a in truth['annotations'] if 'keypoints' in a])
    results = json.loads(args.pred.read_text())
    poses = poses_by_image([r for r in results if r['score'] >= args.score_thr])
    nobody = np.zeros((0, meta['num_keypoints'], 3))
    args.out.mkdir(parents=True, exist_ok=True)
    written = []
    for image in track(truth['images'][: args.num], 'drawing'):
        picture = mmcv.imread(
            str(args.images / image['file_name']), channel_order='rgb'
        )
        picture = mmcv.imrescale(picture, args.scale)
        # COCO's v is 0 to 2, a predicted score mostly 0.5 to 1.5
        sample = PoseDataSample(
            gt_instances=instances(true_poses.get(image['id'], nobody), args.scale),
            pred_instances=instances(poses.get(image['id'], nobody), args.scale),
        )
        path = args.out / f'{Path(image["file_name"]).stem}.png'
        visualizer.add_datasample(
            path.stem, picture, sample, kpt_thr=args.kpt_thr, out_file=str(path)
        )
        written.append(path)
    print('truth on the left, prediction on the right:')
    for path in written:
        print(path)


if __name__ == '__main__':
    main()
