# SPDX-License-Identifier: Apache-2.0
r"""Convert MPII Human Pose to COCO annotations with 16 joints, head boxes and groups.

From the release, mpii_human_pose_v1_u12_1.mat: the people of the training images with
annotated joints. Of the images with a group of several people, --num-val are held out,
at random with --seed, as RMPE's authors do. The groups are those of groups_v12.mat in
MPII's evaluation kit.

From MMPose's mpii_val.json with the head boxes in mpii_gt_val.mat: it has no groups.

MMPose validates PCKh on single people of the same release. --exclude mpii_val.json
leaves their images out of the training split.

Coordinates are 1-based in both and 0-based in the output. Boxes enclose joints and head
box with a margin of 5 % of the larger side, within the image. Annotations have head_box
(x, y, w, h), position (x, y) and scale of MPII, and group, the number of the group in
the image, or -1 for people who are not in a group of several.

Example:
    rmpe convert mpii \
        data/mpii/mpii_human_pose_v1_u12_1.mat data/mpii/images \
        --groups data/mpii/groups_v12.mat \
        --exclude data/mpii/annotations/mpii_val.json --out data/mpii/annotations
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmpose.datasets.datasets import MpiiDataset
from rich.progress import track
from scipy.io.matlab import mat_struct

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.conversion import (
    box_around,
    image_size,
    make_category,
    read_mat,
)
from rmpe_plugin.structures import area_of, make_annotation
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.files import atomic_write

NUM_JOINTS = 16
HEAD = ('x1', 'y1', 'x2', 'y2')
NO_GROUP = -1


@dataclass
class Person:
    """An annotated person.

    Attributes:
        image (str): File name of the image.
        keypoints (np.ndarray): Joints (16, 3) with COCO's v.
        head_box (np.ndarray): Box (4,), xyxy, pixels.
        position (tuple[float, float]): Rough position, pixels.
        scale (float): Height divided by 200 pixels.
        group (int): Number of the group in the image, or -1.
    """

    image: str
    keypoints: np.ndarray
    head_box: np.ndarray
    position: tuple[float, float]
    scale: float
    group: int


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', type=Path, help='.mat of MPII or .json of MMPose')
    parser.add_argument('images', type=Path, help='folder of the images')
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--groups', type=Path, help='groups_v12.mat, for the release (default: none)'
    )
    parser.add_argument(
        '--exclude', type=Path,
        help='mpii_val.json, whose images are not used for training, for the release',
    )  # fmt: skip
    parser.add_argument(
        '--head-boxes', type=Path, help='mpii_gt_val.mat, for a .json of MMPose'
    )
    parser.add_argument(
        '--num-val', type=at_least(0), default=500,
        help='images with groups that are held out, for the release (500)',
    )  # fmt: skip
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='seed of the split (0)'
    )
    args = parser.parse_args()
    is_json = args.ann_file.suffix == '.json'
    if is_json and (args.groups or args.exclude):
        parser.error('--groups and --exclude are for the release, not for a .json file')
    if not is_json and args.head_boxes:
        parser.error('--head-boxes is for a .json file; the release has head boxes')
    return args


# --- release --------------------------------------------------------------------------


def field(struct: mat_struct, name: str) -> np.ndarray | None:
    """A field (1, ...) of a struct, or ``None`` if it is missing or empty."""
    value = getattr(struct, name, None)
    return None if value is None or np.size(value) == 0 else value


def number(struct: mat_struct, name: str) -> float:
    """A number in a struct.

    Raises:
        ValueError: If it is missing.
    """
    value = field(struct, name)
    if value is None:
        raise ValueError(f'an annotation of the release lacks {name}')
    return float(np.ravel(value)[0])


def keypoints_of(points: np.ndarray) -> np.ndarray:
    """Keypoints (16, 3) of ``annopoints.point``; visible unless marked as occluded."""
    keypoints = np.zeros((NUM_JOINTS, 3))
    for point in np.ravel(points):
        flag = field(point, 'is_visible')
        occluded = flag is not None and not int(np.ravel(flag)[0])
        keypoints[int(number(point, 'id'))] = (
            number(point, 'x') - 1,
            number(point, 'y') - 1,
            1 if occluded else 2,
        )
    return keypoints


def people_of(
    annotation: mat_struct, groups: list[list[int]], single: set[int]
) -> Iterator[Person]:
    """People of an image of the release with joints, head box, scale and position.

    Args:
        annotation (mat_struct): ``RELEASE.annolist(i)``.
        groups (list[list[int]]): Groups, each with the 1-based numbers of its people.
        single (set[int]): Numbers of people who are sufficiently separated.
    """
    image = str(annotation.image[0, 0].name[0])
    several = [g for g in groups if len(g) > 1 and not single.intersection(g)]
    group_of = {ridx: i for i, group in enumerate(several) for ridx in group}
    rects = field(annotation, 'annorect')
    for ridx, rect in enumerate([] if rects is None else np.ravel(rects), start=1):
        points, position = field(rect, 'annopoints'), field(rect, 'objpos')
        required = [points, position, field(rect, 'scale')]
        required += [field(rect, name) for name in HEAD]
        if any(value is None for value in required):
            continue
        keypoints = keypoints_of(points[0, 0].point)
        head = np.array([number(rect, name) for name in HEAD]) - 1
        xy = number(position[0, 0], 'x') - 1, number(position[0, 0], 'y') - 1
        group = group_of.get(ridx, NO_GROUP)
        yield Person(image, keypoints, head, xy, number(rect, 'scale'), group)


def read_groups(path: Path | None, number_of_images: int) -> list[list[list[int]]]:
    """Groups of each image: lists of 1-based numbers of people.

    Raises:
        ValueError: If the file has another number of images.
    """
    if path is None:
        return [[] for _ in range(number_of_images)]
    cells = np.ravel(read_mat(path, 'groups'))
    if len(cells) != number_of_images:
        raise ValueError(
            f'{path} has groups of {len(cells)} images, the release has '
            f'{number_of_images}'
        )
    return [
        [[int(i) for i in np.ravel(group)] for group in np.ravel(cell)]
        for cell in cells
    ]


def read_release(path: Path, groups_file: Path | None) -> list[Person]:
    """Read the annotated people of the training images.

    Raises:
        ValueError: If a file is not what it should be.
    """
    release = read_mat(path, 'RELEASE')[0, 0]
    missing = [
        n for n in ('annolist', 'img_train', 'single_person') if not hasattr(release, n)
    ]
    if missing:
        raise ValueError(f'{path}: RELEASE has no {", ".join(missing)}')
    annotations = np.ravel(release.annolist)
    train = np.ravel(release.img_train)
    single = [
        {int(i) for i in np.ravel(cell)} for cell in np.ravel(release.single_person)
    ]
    groups = read_groups(groups_file, len(annotations))
    images = zip(annotations, train, groups, single, strict=True)
    return [
        person
        for annotation, is_train, groups, single in images
        if is_train
        for person in people_of(annotation, groups, single)
    ]


# --- MMPose ---------------------------------------------------------------------------


@contextmanager
def mmpose_records(path: Path) -> Iterator[list[dict]]:
    """Read an annotation file of MMPose.

    Raises:
        ValueError: If the file, or what the context reads in it, is not valid.
    """
    try:
        yield json.loads(path.read_text())
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} is not an annotation file of MMPose: {error!r}'
        ) from error


def read_mmpose(path: Path, head_boxes_file: Path | None) -> list[Person]:
    """Read the people of an annotation file of MMPose.

    Raises:
        ValueError: If the file has other content or another number of people than the
            head boxes, or if there are no head boxes.
    """
    with mmpose_records(path) as records:
        joints = np.array([record['joints'] for record in records], float)
        labelled = np.array([record['joints_vis'] for record in records]) > 0
        centers = np.array([record['center'] for record in records], float) - 1
        scales = [float(record['scale']) for record in records]
        images = [record['image'] for record in records]
    if head_boxes_file is None:
        raise ValueError(
            f'{path} contains no head boxes, which MultiPersonMAP needs: give '
            '--head-boxes mpii_gt_val.mat, or convert the .mat file of the release'
        )
    heads = read_mat(head_boxes_file, 'headboxes_src')
    if heads.shape != (2, 2, len(records)):
        raise ValueError(
            f'{head_boxes_file}: headboxes_src must be (2, 2, N) for the '
            f'{len(records)} people of {path}, got {heads.shape}'
        )
    keypoints = (
        np.dstack((joints - 1, np.full(labelled.shape, 2))) * labelled[..., None]
    )
    heads = heads.transpose(2, 0, 1).reshape(-1, 4) - 1.0
    return [
        Person(image, points, head, tuple(center), scale, NO_GROUP)
        for image, points, head, center, scale in zip(
            images, keypoints, heads, centers.tolist(), scales, strict=True
        )
    ]


# --- output ---------------------------------------------------------------------------


def annotation_of(person: Person, index: int, image_id: int, size: tuple) -> dict:
    """COCO annotation of a person; joints outside the image are not labelled."""
    xy = person.keypoints[:, :2]
    inside = ((xy >= 0) & (xy < size)).all(axis=1) & (person.keypoints[:, 2] > 0)
    keypoints = np.where(inside[:, None], person.keypoints, 0)
    corners = person.head_box.reshape(2, 2)
    points = np.concatenate((keypoints[inside, :2], corners))
    box = box_around(points, size)
    area = area_of(dict(bbox=[*box[:2], *(box[2:] - box[:2])]))
    (x1, y1), (x2, y2) = corners.tolist()
    return dict(
        make_annotation(index, image_id, keypoints, box, float(area)),
        head_box=[x1, y1, x2 - x1, y2 - y1],
        position=list(person.position),
        scale=person.scale,
        group=person.group,
    )


def write(path: Path, images: dict[str, list[Person]], folder: Path) -> None:
    """Write the people of images; image ids are the numbers in the file names."""
    records, annotations = [], []
    for name, people in track(images.items(), f'Reading images of {path.name}'):
        size = image_size(folder / name)
        image_id = int(Path(name).stem)
        records.append(dict(id=image_id, file_name=name, width=size[0], height=size[1]))
        annotations += [
            annotation_of(person, index, image_id, size)
            for index, person in enumerate(people, start=len(annotations) + 1)
        ]
    content = dict(
        images=records,
        annotations=annotations,
        categories=[make_category(MpiiDataset.METAINFO)],
    )
    with atomic_write(path) as file:
        json.dump(content, file)
    print(f'{path}: {len(records)} images, {len(annotations)} people')


def by_image(people: list[Person]) -> dict[str, list[Person]]:
    """People of each image."""
    images: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        images[person.image].append(person)
    return images


def read_excluded(path: Path | None) -> set[str]:
    """Images of an annotation file of MMPose.

    Raises:
        ValueError: If it is no such file.
    """
    if path is None:
        return set()
    with mmpose_records(path) as records:
        return {record['image'] for record in records}


def split_release(
    people: list[Person], num_val: int, seed: int, excluded: set[str]
) -> dict[str, dict[str, list[Person]]]:
    """Hold out images with a group; the people of each image by split.

    Raises:
        ValueError: If there are fewer images with a group than wanted.
    """
    images = by_image(people)
    grouped = sorted({person.image for person in people if person.group != NO_GROUP})
    if num_val > len(grouped):
        raise ValueError(
            f'--num-val must be 0 to {len(grouped)}, the number of images with a group '
            f'of several people, got {num_val}; the groups are read from --groups'
        )
    held_out = set(np.random.default_rng(seed).permutation(grouped)[:num_val].tolist())
    return {
        'train': {n: p for n, p in images.items() if n not in held_out | excluded},
        'val': {n: p for n, p in images.items() if n in held_out},
    }


@exit_status
def main() -> None:
    args = parse_args()
    if args.ann_file.suffix == '.json':
        people = read_mmpose(args.ann_file, args.head_boxes)
        splits = {args.ann_file.stem.removeprefix('mpii_'): by_image(people)}
    else:
        people = read_release(args.ann_file, args.groups)
        excluded = read_excluded(args.exclude)
        splits = split_release(people, args.num_val, args.seed, excluded)
    for split, images in splits.items():
        write(args.out / f'mpii_coco_{split}.json', images, args.images)
