# SPDX-License-Identifier: Apache-2.0
"""Make the training data of the CPN for photographs from LSP-Extended.

Each person is cut out, with room for augmentation, and has COCO's 17 keypoints: those
of LSP where they are labelled, and those of MoveNet Thunder for the face and where LSP
has no label. Where both are near each other, the label is their mean.

Example:
    rmpe convert lsp data/lspet --out data/lspet/annotations
    python -m experiments.label_photographs data/lspet data/photo \
        --teacher package/models/movenet-thunder.json
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from mmpose.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from rich.progress import track

from rmpe_plugin.datasets.conversion import make_category
from rmpe_plugin.structures import make_annotation
from rmpe_plugin.utils.arguments import existing_file, existing_folder
from rmpe_plugin.utils.files import atomic_write, find_shipped

from .movenet import INPUT_SIZE, MoveNet, read_weights

# Size of a cut relative to the box, and length of the box in it, in pixels.
CUT, LENGTH = 1.9, 224
# MoveNet sees the box with this padding.
PADDING = 1.25
# Keypoints of MoveNet need this score, and views of a picture and of its mirror image
# that differ by at most this share of the square's side.
MIN_SCORE, MAX_SHIFT = 0.3, 0.04
# Labels that differ by less than this share of the box are averaged.
NEAR = 0.1
COCO = parse_pose_metainfo(CocoDataset.METAINFO)
LSP = parse_pose_metainfo(
    dict(from_file=str(find_shipped('configs/_base_/datasets/lsp.py')))
)
JOINTS = [name for name in LSP['keypoint_name2id'] if name in COCO['keypoint_name2id']]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source', type=existing_folder, help='folder with images/ and annotations/'
    )
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument(
        '--teacher', type=existing_file, required=True, help='movenet-thunder.json'
    )
    return parser.parse_args()


def cut_person(
    image: np.ndarray, box: np.ndarray, keypoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut out a person.

    Args:
        image (np.ndarray): The picture (H, W, 3).
        box (np.ndarray): Box (4,), xywh, pixels.
        keypoints (np.ndarray): Keypoints (K, 3): x, y in pixels and COCO's v.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: The cut, and box and keypoints in it.
    """
    height, width = image.shape[:2]
    center, side = box[:2] + box[2:] / 2, CUT * box[2:].max()
    first = np.floor(np.maximum(center - side / 2, 0)).astype(int)
    last = np.ceil(np.minimum(center + side / 2, (width, height))).astype(int)
    cut = image[first[1] : last[1], first[0] : last[0]]
    factor = min(1.0, LENGTH / box[2:].max())
    size = np.maximum(np.rint(factor * (last - first)).astype(int), 1)
    scale = size / (last - first)
    cut = cv2.resize(cut, size.tolist(), interpolation=cv2.INTER_AREA)
    box = np.concatenate([(box[:2] - first) * scale, box[2:] * scale])
    labelled = keypoints[:, 2:] > 0
    moved = np.concatenate([(keypoints[:, :2] - first) * scale, keypoints[:, 2:]], 1)
    return cut, box, np.where(labelled, moved, 0)


def square_crop(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float]:
    """MoveNet's input, RGB in [-1, 1], and its scale: pixels of it for one pixel."""
    center, side = box[:2] + box[2:] / 2, PADDING * box[2:].max()
    scale = INPUT_SIZE / side
    matrix = np.zeros((2, 3))
    matrix[:, :2] = scale * np.eye(2)
    matrix[:, 2] = (INPUT_SIZE - 1) / 2 - scale * (center - 0.5)
    crop = cv2.warpAffine(image, matrix, (INPUT_SIZE, INPUT_SIZE))
    return crop[..., ::-1].astype(np.float32) / 127.5 - 1, scale


def teach(model: MoveNet, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Keypoints (17, 3) of MoveNet; v is 0 where it is not sure.

    Args:
        model (MoveNet): The teacher.
        image (np.ndarray): BGR picture (H, W, 3).
        box (np.ndarray): Box (4,), xywh, pixels.
    """
    crop, scale = square_crop(image, box)
    views = torch.from_numpy(np.stack([crop, crop[:, ::-1]])).permute(0, 3, 1, 2)
    keypoints, scores = (x.numpy() for x in model(views))
    flipped = keypoints[1, COCO['flip_indices']]
    flipped[:, 0] = INPUT_SIZE - flipped[:, 0]
    mean = (keypoints[0] + flipped) / 2
    score = (scores[0] + scores[1, COCO['flip_indices']]) / 2
    shift = np.linalg.norm(keypoints[0] - flipped, axis=1)
    sure = (score > MIN_SCORE) & (shift < MAX_SHIFT * INPUT_SIZE)
    points = box[:2] + box[2:] / 2 + (mean - INPUT_SIZE / 2) / scale
    sure &= ((points >= 0) & (points < image.shape[1::-1])).all(axis=1)
    return np.where(sure[:, None], np.column_stack([points, 2.0 * sure]), 0)


def merge(taught: np.ndarray, joints: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Labels of a person (17, 3): of LSP, of the teacher, or the mean of both.

    Args:
        taught (np.ndarray): Keypoints of the teacher (17, 3).
        joints (np.ndarray): Joints of LSP (14, 3).
        box (np.ndarray): Box (4,), xywh, pixels.
    """
    keypoints = taught.copy()
    ours = [COCO['keypoint_name2id'][name] for name in JOINTS]
    joints = joints[[LSP['keypoint_name2id'][name] for name in JOINTS]]
    teacher = taught[ours]
    distance = np.linalg.norm(teacher[:, :2] - joints[:, :2], axis=1)
    near = (teacher[:, 2] > 0) & (distance < NEAR * box[2:].max())
    label = np.where(near[:, None], (teacher + joints) / 2, joints)
    keypoints[ours] = np.where(joints[:, 2:] > 0, label, teacher)
    return keypoints


def main() -> None:
    args = parse_args()
    model = MoveNet(read_weights(args.teacher))
    for split in ('train', 'val'):
        source = json.loads((args.source / f'annotations/lsp_{split}.json').read_text())
        names = {image['id']: image['file_name'] for image in source['images']}
        images, annotations = [], []
        (args.out / split).mkdir(parents=True, exist_ok=True)
        for person in track(source['annotations'], f'Labelling {split}'):
            image = cv2.imread(str(args.source / 'images' / names[person['image_id']]))
            joints = np.array(person['keypoints'], float).reshape(-1, 3)
            cut, box, joints = cut_person(image, np.array(person['bbox']), joints)
            name = f'{split}/{person["id"]:05d}.webp'
            cv2.imwrite(str(args.out / name), cut, [cv2.IMWRITE_WEBP_QUALITY, 70])
            cut = cv2.imread(str(args.out / name))
            height, width = cut.shape[:2]
            info = dict(file_name=name, width=width, height=height, id=person['id'])
            # The people held out keep LSP's labels only.
            taught = teach(model, cut, box) if split == 'train' else np.zeros((17, 3))
            keypoints = merge(taught, joints, box)
            box = np.concatenate([box[:2], box[:2] + box[2:]])
            area = float(np.prod(box[2:] - box[:2]))
            images.append(info)
            annotations.append(
                make_annotation(person['id'], person['id'], keypoints, box, area)
            )
        data = dict(
            images=images,
            annotations=annotations,
            categories=[make_category(CocoDataset.METAINFO)],
        )
        with atomic_write(args.out / f'{split}.json') as file:
            json.dump(data, file)
        print(f'{args.out}/{split}.json: {len(images)} people')


if __name__ == '__main__':
    main()
