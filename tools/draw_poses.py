# SPDX-License-Identifier: Apache-2.0
"""Draw predicted poses beside the true ones, one picture an image.

Reads what MMPose's CocoMetric writes with ``outfile_prefix``. With --pose-nms the
pictures show the predictions before and after pose NMS instead.

Example:
    python tools/draw_poses.py --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --images data/synthetic_people/val \
        --pred work_dirs/quickstart/detections.keypoints.json --out work_dirs/drawn
"""  # noqa: E501

import argparse
from pathlib import Path

import mmcv
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from rich.progress import track

from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.structures import group_by_image, poses_from_records, suppress_poses
from rmpe_plugin.utils.coco_files import read_coco, require_keypoints
from rmpe_plugin.visualization import NumpySafePoseVisualizer

RESULT_KEYS = {'image_id', 'keypoints', 'bbox', 'score'}


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
    parser.add_argument(
        '--pose-nms',
        metavar='PRESET|FILE',
        help='draw before and after pose NMS with these parameters',
    )
    args = parser.parse_args()
    for path in (args.ann, args.pred, args.images):
        if not path.exists():
            parser.error(f'{path} does not exist')
    if args.pose_nms:
        try:
            args.pose_nms = PoseNMSParams.from_config(args.pose_nms)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    return args


def after_nms(people: InstanceData, params: PoseNMSParams) -> InstanceData:
    """The people of one image who stay after pose NMS."""
    sample = PoseDataSample()
    sample.pred_instances = people
    return suppress_poses(sample, params, people.scores).pred_instances


def instances(people: InstanceData, scale: float) -> InstanceData:
    """People as the visualiser takes them, on a picture ``scale`` as large."""
    return InstanceData(
        keypoints=people.keypoints * scale, keypoints_visible=people.keypoint_scores
    )


def main() -> None:
    args = parse_args()
    meta = parse_pose_metainfo(dict(from_file=args.metainfo))
    visualizer = NumpySafePoseVisualizer(radius=3, line_width=2)
    visualizer.set_dataset_meta(meta)

    try:
        truth, results = read_coco(args.ann, args.pred, RESULT_KEYS)
        require_keypoints(args.pred, 'result', results, meta['num_keypoints'])
        require_keypoints(
            args.ann, 'annotation', truth['annotations'], meta['num_keypoints']
        )
    except ValueError as error:
        raise SystemExit(str(error)) from error
    true_people = group_by_image([a for a in truth['annotations'] if 'keypoints' in a])
    people = group_by_image([r for r in results if r['score'] >= args.score_thr])
    args.out.mkdir(parents=True, exist_ok=True)
    written = []
    for image in track(truth['images'][: args.num], 'drawing'):
        picture = mmcv.imread(
            str(args.images / image['file_name']), channel_order='rgb'
        )
        picture = mmcv.imrescale(picture, args.scale)
        found = people[image['id']]
        right = poses_from_records(found, meta['num_keypoints'])
        if args.pose_nms:
            left, right = right, after_nms(right, args.pose_nms)
        else:
            there = true_people[image['id']]
            left = poses_from_records(there, meta['num_keypoints'])
        # COCO's v is 0 to 2, a predicted score mostly 0.5 to 1.5
        sample = PoseDataSample(
            gt_instances=instances(left, args.scale),
            pred_instances=instances(right, args.scale),
        )
        path = args.out / f'{Path(image["file_name"]).stem}.png'
        visualizer.add_datasample(
            path.stem, picture, sample, kpt_thr=args.kpt_thr, out_file=str(path)
        )
        written.append(path)
    sides = ('before pose NMS', 'after') if args.pose_nms else ('truth', 'prediction')
    print(f'{sides[0]} on the left, {sides[1]} on the right:')
    for path in written:
        print(path)


if __name__ == '__main__':
    main()
