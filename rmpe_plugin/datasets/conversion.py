# SPDX-License-Identifier: Apache-2.0
"""What the converters of data sets to COCO annotations have in common."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from rmpe_plugin.structures import PERSON_CATEGORY, parse_metainfo

# Of the longer side.
MARGIN = 0.05
# EXIF tag, and the first of its values that exchange width and height.
ORIENTATION, FIRST_SIDEWAYS = 0x0112, 5


def make_category(metainfo: dict) -> dict:
    """Make COCO's description of the category person.

    Args:
        metainfo (dict): MMPose's description of a data set's keypoints.

    Returns:
        dict: ``id`` 1, ``name``, ``keypoints`` and ``skeleton``.
    """
    meta = parse_metainfo(metainfo)
    names = [meta['keypoint_id2name'][i] for i in range(meta['num_keypoints'])]
    skeleton = [[i + 1, j + 1] for i, j in meta['skeleton_links']]
    return dict(id=PERSON_CATEGORY, name='person', keypoints=names, skeleton=skeleton)


def read_mat(path: Path, name: str) -> Any:
    """Read a variable of a MATLAB file.

    Args:
        path (Path): The file.
        name (str): Name of the variable.

    Returns:
        Any: The variable; structs are ``scipy.io.matlab.mat_struct``.

    Raises:
        ValueError: If the file is not a MATLAB file, or has no such variable.
    """
    try:
        with path.open('rb') as file:
            content = loadmat(file, struct_as_record=False)
    except (ValueError, MatReadError) as error:
        raise ValueError(f'{path} is not a MATLAB file: {error}') from error
    if name not in content:
        raise ValueError(f'{path} has no variable {name}')
    return content[name]


def image_size(path: Path) -> tuple[int, int]:
    """Read the size of an image, rotated as its EXIF data say.

    Args:
        path (Path): The file.

    Returns:
        tuple[int, int]: Width and height, pixels.

    Raises:
        ValueError: If the file is not an image.
    """
    try:
        with Image.open(path) as image:
            if image.format == 'TIFF':
                image.load()  # rotates it, in some versions of Pillow only now
            rotated = image.getexif().get(ORIENTATION, 1) >= FIRST_SIDEWAYS
            return image.size[::-1] if rotated else image.size
    except UnidentifiedImageError as error:
        raise ValueError(f'{path} is not an image') from error


def box_around(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Make a box around points with a margin of 5 % of the longer side.

    Args:
        points (np.ndarray): Points (N, 2), pixels; at least one.
        size (tuple[int, int]): Width and height of the image, which limit the box.

    Returns:
        np.ndarray: Box (4,), xyxy, pixels.
    """
    margin = MARGIN * np.ptp(points, axis=0).max()
    low = np.maximum(points.min(axis=0) - margin, 0)
    high = np.minimum(points.max(axis=0) + margin, size)
    return np.concatenate((low, high))
