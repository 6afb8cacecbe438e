# SPDX-License-Identifier: Apache-2.0
r"""Convert Leeds Sports Pose, or its extended training set, to COCO annotations.

The folder of the data set contains images/ and joints.mat. Joints outside the image
and, in the extended set, joints marked as invisible are not labelled. A person with
fewer labelled joints than --min-joints is dropped and counted. Boxes enclose the
labelled joints with a margin of 5 % of the larger side, within the image. The split is
random, with --seed.

The data are not included. They are for research and have no stated licence:
    http://sam.johnson.io/research/lspet.html

Example:
    rmpe convert lsp data/lspet \
        --out data/lspet/annotations
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.progress import track

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.conversion import (
    box_around,
    image_size,
    make_category,
    read_mat,
)
from rmpe_plugin.structures import make_annotation
from rmpe_plugin.utils.arguments import at_least, existing_folder
from rmpe_plugin.utils.files import atomic_write, find_shipped

NUM_JOINTS = 14
METAINFO = dict(from_file=str(find_shipped('configs/_base_/datasets/lsp.py')))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'folder', type=existing_folder, help='folder with images/ and joints.mat'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--min-joints',
        type=at_least(2),
        default=6,
        help='labelled joints of a person (6)',
    )
    parser.add_argument(
        '--num-val',
        type=at_least(0),
        default=1000,
        help='people held out for validation (1000)',
    )
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='seed of the split (0)'
    )
    return parser.parse_args()


def read_joints(path: Path) -> np.ndarray:
    """Read ``joints.mat``.

    Returns:
        np.ndarray: Joints (N, 14, 3): x, y in pixels, as in the file, whose README
        names no origin, and COCO's v. The flag is 1 for visible joints in LSP-Extended,
        whose other joints have no position, and 1 for occluded joints in LSP.

    Raises:
        ValueError: If the file is not a MATLAB file or the array has another shape.
    """
    joints = read_mat(path, 'joints')
    shape = joints.shape
    if len(shape) == 3 and shape[:2] == (NUM_JOINTS, 3):
        joints = joints.transpose(2, 0, 1).astype(float)
        joints[..., 2] *= 2
        return joints
    if len(shape) == 3 and shape[:2] == (3, NUM_JOINTS):
        joints = joints.transpose(2, 1, 0).astype(float)
        joints[..., 2] = 2 - joints[..., 2]
        return joints
    raise ValueError(
        f'{path}: joints must be ({NUM_JOINTS}, 3, N), as in LSP-Extended, or '
        f'(3, {NUM_JOINTS}, N), as in LSP, got {shape}'
    )


def find_images(folder: Path, number: int) -> list[Path]:
    """Find the image of each person; names contain numbers from 1.

    Raises:
        FileNotFoundError: If the number of images differs from that of people.
    """
    images = sorted(folder.glob('im*.jpg'))
    if len(images) != number:
        raise FileNotFoundError(
            f'{folder} must contain im*.jpg for each of the {number} people of '
            f'joints.mat, got {len(images)} images'
        )
    return images


def keypoints_of(joints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """COCO keypoints (14, 3) of joints (14, 3); 0 where not labelled."""
    xy = joints[:, :2]
    labelled = (joints[:, 2] > 0) & (xy >= 0).all(axis=1) & (xy < size).all(axis=1)
    return np.where(labelled[:, None], joints, 0)


def convert(
    joints: np.ndarray, images: list[Path], min_joints: int
) -> tuple[list[dict], list[dict]]:
    """Convert people with enough labelled joints.

    Args:
        joints (np.ndarray): Joints (N, 14, 3), see :func:`read_joints`.
        images (list[Path]): N images.
        min_joints (int): Minimum number of joints that are visible inside the image.

    Returns:
        tuple[list[dict], list[dict]]: COCO images and annotations.
    """
    records, annotations = [], []
    pairs = zip(joints, images, strict=True)
    for i, (person, path) in enumerate(
        track(pairs, 'Reading images', total=len(images)), start=1
    ):
        width, height = size = image_size(path)
        keypoints = keypoints_of(person, size)
        if (keypoints[:, 2] > 0).sum() < min_joints:
            continue
        box = box_around(keypoints[keypoints[:, 2] > 0, :2], size)
        area = float(np.prod(box[2:] - box[:2]))
        records.append(dict(id=i, file_name=path.name, width=width, height=height))
        annotations.append(make_annotation(i, i, keypoints, box, area))
    return records, annotations


@exit_status
def main() -> None:
    args = parse_args()
    joints = read_joints(args.folder / 'joints.mat')
    images = find_images(args.folder / 'images', len(joints))
    records, annotations = convert(joints, images, args.min_joints)
    if args.num_val > len(records):
        raise ValueError(
            f'--num-val must be 0 to {len(records)}, the number of people, got '
            f'{args.num_val}'
        )
    order = np.random.default_rng(args.seed).permutation(len(records))
    for split, part in (
        ('val', order[: args.num_val]),
        ('train', order[args.num_val :]),
    ):
        kept = sorted(part.tolist())
        path = args.out / f'lsp_{split}.json'
        with atomic_write(path) as file:
            json.dump(
                dict(
                    images=[records[i] for i in kept],
                    annotations=[annotations[i] for i in kept],
                    categories=[make_category(METAINFO)],
                ),
                file,
            )
        print(f'{path}: {len(kept)} people')
    dropped = len(joints) - len(records)
    print(
        f'dropped: {dropped} people with fewer than {args.min_joints} labelled joints'
    )
