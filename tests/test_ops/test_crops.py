# SPDX-License-Identifier: Apache-2.0
"""Crops against MMPose's matrices, OpenCV, and a slow bilinear interpolation."""

import math

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from rmpe_plugin.ops import crop_matrices, stack_images, warp_crops

SIZE = (24, 32)
FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def random_boxes(rng, number, width, height):
    """Boxes partly outside an image, of less than a pixel up to twice its size."""
    center = rng.uniform(-0.2, 1.2, (number, 2)) * (width, height)
    size = np.exp(rng.uniform(np.log(0.3), np.log(2 * width), (number, 2)))
    return np.hstack((center - size / 2, center + size / 2))


def mmpose_matrix(box, padding, udp):
    """Forward matrix of MMPose's transforms, from the image to the crop."""
    name = 'CPNBBoxCenterScale' if isinstance(padding, tuple) else 'GetBBoxCenterScale'
    enlarge = TRANSFORMS.build(dict(type=name, padding=padding))
    results = enlarge.transform(dict(bbox=box[None].astype(np.float32)))
    affine = TRANSFORMS.build(dict(type='TopdownAffine', input_size=SIZE, use_udp=udp))
    width, height = SIZE
    scale = affine._fix_aspect_ratio(results['bbox_scale'], width / height)
    make = get_udp_warp_matrix if udp else get_warp_matrix
    return make(results['bbox_center'][0], scale[0], 0.0, output_size=SIZE)


@pytest.mark.parametrize('udp', [False, True])
@pytest.mark.parametrize('padding', [1.25, 1.0, (1.2, 1.3)])
def test_matrices_invert_those_of_mmpose(padding, udp):
    boxes = random_boxes(np.random.default_rng(0), 50, 640, 480)
    boxes[:, 2:] += 1  # MMPose's matrices are float32: no tiny boxes
    for box, matrix in zip(
        boxes, crop_matrices(boxes, SIZE, padding, udp), strict=True
    ):
        forward = mmpose_matrix(box, padding, udp)
        product = np.vstack((forward, [0, 0, 1])) @ np.vstack((matrix, [0, 0, 1]))
        np.testing.assert_allclose(product, np.eye(3), atol=2e-3)


def test_matrices_of_no_box():
    assert crop_matrices(np.zeros((0, 4)), SIZE).shape == (0, 2, 3)


def bilinear(image, x, y):
    """Value of an image (H, W) at a point, by the definition; 0 outside."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += weight * image[row, column]
    return total


@pytest.mark.parametrize('shape', [(7, 9), (1, 1), (1, 5), (6, 1)])
def test_warp_equals_a_loop(shape):
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (3, 2, *shape))
    index = np.array([2, 0, 0, 1, 2])
    # Crops partly and entirely outside, rotated and mirrored ones included.
    matrices = rng.normal(0, 0.7, (5, 2, 3))
    matrices[:, :, 2] = rng.uniform(-2, 7, (5, 2))
    matrices[3, :, 2] = 100
    stack = stack_images(torch.from_numpy(images), torch.float64)
    crops = warp_crops(stack, *map(torch.from_numpy, (index, matrices)), size=(4, 5))
    assert crops.shape == (5, 2, 5, 4)
    assert not crops[3].any()
    for crop, i, matrix in zip(crops.numpy(), index, matrices, strict=True):
        for channel, image in zip(crop, images[i], strict=True):
            for row, column in np.ndindex(5, 4):
                x, y = matrix @ (column, row, 1)
                expected = bilinear(image, x, y)
                assert channel[row, column] == pytest.approx(expected, abs=1e-6)


def test_warp_of_photographs_equals_opencv(coco_cc):
    """Reductions by up to 10 are not filtered, as in OpenCV."""
    rng = np.random.default_rng(0)
    differences = []
    for path in sorted(coco_cc.glob('*.jpg')):
        image = mmcv.imread(path)
        height, width = image.shape[:2]
        matrices = crop_matrices(random_boxes(rng, 8, width, height), SIZE)
        crops = warp_crops(
            stack_images(torch.from_numpy(image).permute(2, 0, 1)[None]),
            torch.zeros(8, dtype=torch.long),
            torch.from_numpy(matrices.astype(np.float32)),
            SIZE,
        )
        expected = [cv2.warpAffine(image, m, SIZE, flags=FLAGS) for m in matrices]
        actual = crops.round().permute(0, 2, 3, 1).numpy()
        differences.append(np.abs(actual - np.stack(expected)).mean())
    # OpenCV 4 rounds sampling points to 1/32 of a pixel.
    limit = 0.1 if cv2.__version__ >= '5' else 0.6
    assert max(differences) <= limit


def test_warp_of_no_person():
    stack = stack_images(torch.zeros(1, 3, 8, 8))
    crops = warp_crops(stack, torch.zeros(0), torch.zeros(0, 2, 3), SIZE)
    assert crops.shape == (0, 3, 32, 24)
