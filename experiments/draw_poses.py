# SPDX-License-Identifier: Apache-2.0
r"""Draw ground-truth and predicted poses side by side, one output image per image.

The predictions are a file that MMPose's CocoMetric writes with ``outfile_prefix``. With
--pose-nms the output shows the predictions before and after pose NMS instead.

Example:
    python -m experiments.draw_poses --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --images data/synthetic_people/val \
        --pred work_dirs/quickstart/detections.keypoints.json --out work_dirs/drawn
"""  # noqa: E501

import argparse
from pathlib import Path

import mmcv
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from rich.progress import track

from rmpe_plugin.apis import read_image
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.structures import (
    group_by_image,
    poses_from_records,
    read_coco,
    read_metainfo,
    require_keypoints,
    require_keys,
    suppress_instances,
)
from rmpe_plugin.utils.arguments import at_least, existing_file, existing_folder
from rmpe_plugin.visualization import NumpySafePoseVisualizer

RESULT_KEYS = {'image_id', 'keypoints', 'bbox', 'score'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--ann', type=existing_file, required=True, help='COCO annotations'
    )
    parser.add_argument(
        '--pred', type=existing_file, required=True, help='COCO results'
    )
    parser.add_argument(
        '--images', type=existing_folder, required=True, help='folder of images'
    )
    parser.add_argument('--out', type=Path, required=True, help='output folder')
    parser.add_argument(
        '--num',
        type=at_least(1),
        default=8,
        help='number of images (default: %(default)s)',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='minimum score of drawn poses (default: %(default)s)',
    )
    parser.add_argument(
        '--kpt-thr',
        type=float,
        default=0.3,
        help='minimum score of drawn keypoints (default: %(default)s)',
    )
    parser.add_argument(
        '--scale',
        type=float,
        default=1.0,
        help='scale factor of the output images (default: %(default)s)',
    )
    parser.add_argument(
        '--metainfo',
        help="MMPose's file that describes the keypoints (default: the categories of "
        "--ann, or COCO's keypoints if they name none)",
    )
    parser.add_argument(
        '--pose-nms',
        metavar='PRESET|FILE',
        help='draw before and after pose NMS with these parameters',
    )
    args = parser.parse_args()
    if args.pose_nms:
        try:
            args.pose_nms = PoseNMSParams.from_config(args.pose_nms)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    return args


def read_files(
    ann: Path, pred: Path, num_keypoints: int
) -> tuple[list[dict], list[dict], list[dict]]:
    """Images, annotations with keypoints, and results."""
    try:
        dataset, results = read_coco(ann, pred, RESULT_KEYS)
        annotations = dataset['annotations']
        require_keypoints(pred, 'result', results, num_keypoints)
        require_keypoints(ann, 'annotation', annotations, num_keypoints)
        require_keys(ann, 'image', dataset['images'], {'file_name'})
        annotations = [a for a in annotations if a.get('keypoints')]
        require_keys(ann, 'annotation', annotations, {'bbox'})
    except ValueError as error:
        raise SystemExit(str(error)) from error
    return dataset['images'], annotations, results


def to_drawable(poses: InstanceData, scale: float) -> InstanceData:
    """Convert poses to the visualizer's input, for an image scaled by ``scale``."""
    return InstanceData(
        keypoints=poses.keypoints * scale, keypoints_visible=poses.keypoint_scores
    )


def main() -> None:
    args = parse_args()
    try:
        meta = read_metainfo(args.ann, args.metainfo)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    num_keypoints = meta['num_keypoints']
    visualizer = NumpySafePoseVisualizer(radius=3, line_width=2)
    visualizer.set_dataset_meta(meta)

    images, annotations, results = read_files(args.ann, args.pred, num_keypoints)
    gt_records = group_by_image(annotations)
    pred_records = group_by_image(r for r in results if r['score'] >= args.score_thr)
    args.out.mkdir(parents=True, exist_ok=True)
    written = []
    for info in track(images[: args.num], 'drawing'):
        frame = read_image(args.images / info['file_name'], info['id'])
        if frame.image is None:
            raise SystemExit(f'{frame.name}: {frame.error}')
        image = mmcv.imrescale(mmcv.bgr2rgb(frame.image), args.scale)
        right = poses_from_records(pred_records[info['id']], num_keypoints)
        if args.pose_nms:
            left = right
            (right,) = suppress_instances([left], args.pose_nms, [left.scores])
        else:
            left = poses_from_records(gt_records[info['id']], num_keypoints)
        sample = PoseDataSample(
            gt_instances=to_drawable(left, args.scale),
            pred_instances=to_drawable(right, args.scale),
        )
        # images of different folders may have the same name
        name = '-'.join(Path(info['file_name']).with_suffix('').parts)
        written.append(args.out / f'{name}.png')
        visualizer.add_datasample(
            name, image, sample, kpt_thr=args.kpt_thr, out_file=str(written[-1])
        )
    if args.pose_nms:
        print('Before pose NMS on the left, after pose NMS on the right:')
    else:
        print('Ground truth on the left, predictions on the right:')
    for path in written:
        print(path)


if __name__ == '__main__':
    main()
