# SPDX-License-Identifier: Apache-2.0
r"""Convert MMPose's annotation of Human3.6M to COCO annotations with 17 joints.

Boxes enclose the joints with a margin of 10 % of the larger side. Sizes of images are
those of the cameras, so that no image is read. Image ids are the rows of the
annotation, starting with 1.

Example:
    rmpe convert h36m \
        data/h36m/annotation_body3d/fps50/h36m_train.npz \
        data/h36m/annotation_body3d/cameras.pkl \
        --out data/h36m/annotations/h36m_coco_train.json
"""

import argparse
import json
from pathlib import Path
from pickle import Unpickler, UnpicklingError
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from mmpose.datasets.datasets import Human36mDataset

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.conversion import make_category
from rmpe_plugin.lifting import parse_h36m_name
from rmpe_plugin.structures import make_annotation
from rmpe_plugin.utils.arguments import existing_file
from rmpe_plugin.utils.files import atomic_write

MARGIN = 0.1
KEYS = ('imgname', 'part')
ARRAY_FUNCTIONS = {'_reconstruct', 'ndarray', 'dtype', 'scalar'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', type=existing_file, help='npz file of MMPose')
    parser.add_argument('cameras', type=existing_file, help='cameras.pkl of MMPose')
    parser.add_argument('--out', type=Path, required=True, help='JSON file to write')
    return parser.parse_args()


def boxes_of(joints: np.ndarray) -> np.ndarray:
    """Boxes (N, 4), xyxy, around joints (N, 17, 2)."""
    low, high = joints.min(axis=1), joints.max(axis=1)
    margin = MARGIN * (high - low).max(axis=1, keepdims=True)
    return np.hstack((low - margin, high + margin))


class CameraUnpickler(Unpickler):
    """Unpickler of arrays and numbers that runs no code of a file."""

    def find_class(self, module: str, name: str) -> Any:
        """Find the functions of NumPy that an array is pickled with."""
        if module.startswith('numpy') and name in ARRAY_FUNCTIONS:
            return super().find_class(module, name)
        if (module, name) == ('_codecs', 'encode'):
            return super().find_class(module, name)
        raise UnpicklingError(f'{module}.{name} is not part of camera parameters')


def read_cameras(path: Path) -> dict:
    """Read the parameters of all cameras.

    Raises:
        ValueError: If the file is damaged, or contains other objects than arrays and
            numbers.
    """
    with path.open('rb') as file:
        try:
            return CameraUnpickler(file).load()
        except (EOFError, UnpicklingError) as error:
            raise ValueError(f'{path} cannot be read: {error}') from error


def read_annotation(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays that are needed.

    Raises:
        ValueError: If the file is damaged, or an array is missing or has another shape.
    """
    with path.open('rb') as file:
        if not is_zipfile(file):
            raise ValueError(f'{path} is not an npz file, or is damaged')
    try:
        with np.load(path, allow_pickle=False) as data:
            missing = [key for key in KEYS if key not in data]
            if missing:
                raise ValueError(
                    f'{path} lacks {", ".join(missing)}, it has {", ".join(data)}'
                )
            arrays = {key: data[key] for key in KEYS}
    except BadZipFile as error:
        raise ValueError(f'{path} is damaged: {error}') from error
    shape = arrays['part'].shape
    if shape != (len(arrays['imgname']), 17, 3):
        raise ValueError(f'{path}: part must be (N, 17, 3), got {shape}')
    return arrays


def camera_of(name: str) -> tuple[str, str]:
    """Subject and camera of an image, such as S9 and 54138969."""
    video, _, number = Path(name).stem.rpartition('_')
    parts = parse_h36m_name(video)
    if parts is None or not number.isdigit():
        raise ValueError(
            'imgname must be SUBJECT_ACTION.CAMERA_FRAME.jpg, such as '
            f'S1_Directions_1.54138969_000001.jpg, got {name}'
        )
    subject, _, camera = parts
    return subject, camera


def convert(arrays: dict[str, np.ndarray], cameras: dict) -> dict:
    """Convert the annotation.

    Raises:
        ValueError: If a camera or its size is missing, or an image has another name.
    """
    boxes = boxes_of(arrays['part'][..., :2])
    images, annotations = [], []
    for i, (name, part, box) in enumerate(
        zip(arrays['imgname'], arrays['part'], boxes, strict=True), start=1
    ):
        subject, camera = camera_of(str(name))
        parameters = cameras.get((subject, camera), {})
        if not {'w', 'h'} <= parameters.keys():
            raise ValueError(
                f'{name}: no width and height of camera {camera} of subject {subject}'
            )
        size = dict(width=int(parameters['w']), height=int(parameters['h']))
        images.append(dict(id=i, file_name=str(name), **size))
        keypoints = np.column_stack((part[:, :2], 2 * (part[:, 2] > 0)))
        area = float(np.prod(box[2:] - box[:2]))
        annotations.append(make_annotation(i, i, keypoints, box, area))
    return dict(
        images=images,
        annotations=annotations,
        categories=[make_category(Human36mDataset.METAINFO)],
    )


@exit_status
def main() -> None:
    args = parse_args()
    dataset = convert(read_annotation(args.ann_file), read_cameras(args.cameras))
    with atomic_write(args.out) as file:
        json.dump(dataset, file)
    print(f'{args.out}: {len(dataset["images"])} images')
