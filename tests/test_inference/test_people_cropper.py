# SPDX-License-Identifier: Apache-2.0
"""Crops of many people against the test pipeline, one person at a time."""

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from rmpe_plugin.inference import CropGeometry, PeopleCropper
from rmpe_plugin.inference.people_cropper import DeviceCrops, HostCrops
from rmpe_plugin.ops import crop_matrices

GEOMETRY = CropGeometry((48, 64), (1.2, 1.3))
PIPELINE = [
    dict(type='CPNBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(48, 64)),
    dict(type='PackPoseInputs'),
]
CPU = torch.device('cpu')
# Across the border, outside, less than a pixel, and larger than the image.
UNUSUAL = np.array(
    [
        [-30.0, -20, 40, 60],
        [5000, 5000, 5100, 5200],
        [100.2, 50.1, 100.7, 50.9],
        [-500, -500, 1500, 1500],
    ],
    np.float32,
)


@pytest.fixture(scope='module')
def people(coco_cc):
    """Four photographs of three sizes, and boxes; one image has none."""
    images = [mmcv.imread(path) for path in sorted(coco_cc.glob('*.jpg'))[:3]]
    images.insert(1, images[0][:, ::-1].copy())
    rng = np.random.default_rng(0)
    boxes = []
    for number in (5, 4, 0, 7):
        corner = rng.uniform(0, 200, (number, 2))
        size = rng.uniform((40, 80), (200, 300), (number, 2))
        boxes.append(np.hstack((corner, corner + size)).astype(np.float32))
    boxes[1] = UNUSUAL
    return images, boxes


def crop_by_pipeline(images, boxes):
    """Crops (N, 3, h, w) of the test pipeline."""
    pipeline = Compose(PIPELINE)
    return np.stack(
        [
            pipeline(dict(img=image, bbox=box[None], bbox_score=np.ones(1)))['inputs']
            for image, array in zip(images, boxes, strict=True)
            for box in array
        ]
    )


def crop_all(images, boxes, batch_size=6, color='bgr'):
    cropper = PeopleCropper(GEOMETRY, CPU, color)
    batches = [crop() for crop in cropper.batches(images, boxes, batch_size)]
    assert all(len(crops) <= batch_size for crops, _ in batches)
    return [torch.cat(x) for x in zip(*batches, strict=True)]


def crop_on_device(images, boxes, rgb=False):
    """Crops of the implementation for other devices, on the CPU."""
    source = DeviceCrops(images, GEOMETRY.input_size, rgb, CPU)
    index = np.repeat(np.arange(len(images)), [len(b) for b in boxes])
    # Interleaved, so that the order has to be restored.
    order = np.random.default_rng(0).permutation(len(index))
    matrices = GEOMETRY.matrices(np.concatenate(boxes))
    crops = source.crop(index[order], matrices[order])
    return crops[np.argsort(order)]


def test_crops_equal_those_of_the_pipeline(people):
    crops, matrices = crop_all(*people)
    difference = np.abs(crops.numpy() - crop_by_pipeline(*people).astype(float))
    # MMPose's matrices are float32.
    assert difference.mean() <= 0.1
    expected = crop_matrices(np.concatenate(people[1]), (48, 64), (1.2, 1.3))
    np.testing.assert_allclose(matrices, expected, rtol=1e-6)


def test_crops_on_a_device_equal_those_of_opencv(people):
    crops = crop_on_device(*people)
    expected, _ = crop_all(*people)
    assert crops.dtype == torch.float32
    difference = (crops - expected.float()).abs()
    # OpenCV 4 rounds sampling points to 1/32 of a pixel.
    assert difference.mean() <= (0.1 if cv2.__version__ >= '5' else 0.6)


@pytest.mark.parametrize('crop', [crop_on_device, crop_all])
def test_channel_order(people, crop):
    bgr = crop(*people)
    rgb = crop(*people, **{'rgb': True} if crop is crop_on_device else {'color': 'rgb'})
    if crop is crop_all:
        bgr, rgb = bgr[0], rgb[0]
    assert torch.equal(bgr.flip(1), rgb)
    assert rgb.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (9, 1)])
def test_images_of_one_pixel(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    height, width = shape
    boxes = np.array([[0, 0, width, height]], np.float32)
    crops, _ = crop_all([image], [boxes])
    device = crop_on_device([image], [boxes])
    assert crops.max() > 100
    assert (device - crops.float()).abs().max() <= 1


def test_no_people(people):
    assert not list(PeopleCropper(GEOMETRY, CPU, 'bgr').batches([None], [[]], 4))


def test_images_without_people_may_be_missing(people):
    images, boxes = people
    images = [*images[:2], None, images[3]]
    for crops in (crop_all(images, boxes)[0], crop_on_device(images, boxes)):
        assert len(crops) == 16


def test_thousands_of_people_are_cropped_in_batches(people, monkeypatch):
    """Only one batch of crops exists at a time."""
    sizes = []

    def crop(self, index, matrices):
        sizes.append(len(index))
        return torch.zeros(len(index), 3, 64, 48)

    monkeypatch.setattr(HostCrops, 'crop', crop)
    boxes = np.tile(people[1][0], (1000, 1))
    batches = PeopleCropper(GEOMETRY, CPU, 'bgr').batches(people[0][:1], [boxes], 64)
    next(batches)()
    assert sizes == [64]
    assert sum(len(crop()[0]) for crop in batches) == 5000 - 64


@pytest.mark.parametrize('color', ['bgr', 'rgb'])
def test_few_people_in_a_large_image(people, color):
    """A large image is not converted; the crops are those of a small one."""
    image, boxes = people[0][0], people[1][0]
    large = np.zeros((4 * image.shape[0], 4 * image.shape[1], 3), np.uint8)
    large[: image.shape[0], : image.shape[1]] = image
    inside = np.array([[60.0, 60, 120, 160]], np.float32)
    few, _ = crop_all([large], [inside], color=color)
    many, _ = crop_all([image], [np.concatenate((inside, *[boxes] * 9))], color=color)
    assert torch.equal(few[0], many[0])
