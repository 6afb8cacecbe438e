# SPDX-License-Identifier: Apache-2.0
"""The reader of images: modes, numbers of any type, damaged files."""

from io import BytesIO

import cv2
import numpy as np
import pytest
import torch
from mmpose.registry import TRANSFORMS
from PIL import Image

from rmpe_plugin.apis import Frames
from rmpe_plugin.utils.images import load_image, to_bgr

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.dstack((GREY, GREY + 50, GREY + 100))
EARLY = 'cannot be read as an image: its JPEG data end too early'


@pytest.fixture
def photograph(coco_cc):
    return Image.open(coco_cc / '000000000790.jpg')


def encode(image, **settings):
    file = BytesIO()
    image.save(file, 'jpeg', **settings)
    return file.getvalue()


@pytest.mark.parametrize(
    'image', [GREY, GREY[..., None], COLOUR, np.dstack((COLOUR, GREY))]
)
def test_to_bgr_converts_every_supported_array(image):
    converted = to_bgr(image)
    assert converted.shape == (2, 3, 3)
    assert converted.dtype == np.uint8
    expected = (
        COLOUR if image.ndim == 3 and image.shape[-1] > 1 else np.dstack([GREY] * 3)
    )
    np.testing.assert_array_equal(converted, expected)


@pytest.mark.parametrize('dtype', ['uint16', 'int16', 'int32', 'uint32', 'int64'])
@pytest.mark.parametrize('values', ['8 bits', '16 bits'])
def test_integers_of_more_than_8_bits(dtype, values):
    factor = 1 if values == '8 bits' else 200
    np.testing.assert_array_equal(
        to_bgr(COLOUR.astype(dtype) * factor),
        COLOUR if factor == 1 else COLOUR.astype(int) * 200 // 256,
    )


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_floats_up_to_1_and_whole_numbers(dtype):
    image = COLOUR.astype(dtype)
    np.testing.assert_array_equal(to_bgr(image), COLOUR)
    np.testing.assert_allclose(to_bgr(image / 255), COLOUR, atol=1)
    assert to_bgr(np.full((2, 2), 0.5, dtype)).max() == 128
    assert to_bgr(np.eye(2, dtype=bool))[..., 0].tolist() == [[255, 0], [0, 255]]


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (COLOUR / 7, 'float64 values of an image must be in .0, 1.'),
        (COLOUR - 1.0, 'got -1 to'),
        (np.full((2, 3), np.nan), 'got nan to nan'),
        (np.full((2, 3), 70000), r'int64 values of an image must be in \[0, 65535\]'),
        (np.full((2, 3), -1, np.int16), 'got -1 to -1'),
        (np.full((2, 3), 'a'), 'must have numbers'),
        (np.zeros((2, 3, 2), np.uint8), r'\(2, 3, 2\)'),
        (np.zeros((2, 3, 3, 3), np.uint8), r'\(2, 3, 3, 3\)'),
        (np.zeros((0, 3, 3), np.uint8), r'must not be empty, got shape \(0, 3, 3\)'),
        (torch.zeros(7, 5, 3), r'RGB \(3, H, W\).*got \(7, 5, 3\)'),
        (torch.zeros(3), r'got \(3,\)'),
    ],
)
def test_unsupported_image_is_reported_and_the_others_are_read(image, message):
    with pytest.raises(ValueError, match=message):
        to_bgr(image)
    frames = list(Frames([COLOUR, image, GREY]))
    assert [bool(f.error) for f in frames] == [False, True, False]
    assert frames[1].image is None
    assert [f.image_id for f in frames] == [0, 1, 2]


def test_tensors_and_images_of_pillow():
    rgb = np.ascontiguousarray(COLOUR[..., ::-1])
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    alpha = torch.cat((tensor, tensor[:1]))
    inputs = [
        *(tensor, tensor / 255, tensor.bfloat16(), alpha, tensor.requires_grad_(False)),
        *(Image.fromarray(rgb), Image.fromarray(rgb).convert('RGBA')),
    ]
    for frame in Frames(inputs):
        np.testing.assert_array_equal(frame.image, COLOUR)
    for frame in Frames([Image.fromarray(GREY), torch.from_numpy(GREY)]):
        np.testing.assert_array_equal(frame.image, np.dstack([GREY] * 3))
    assert Frames(Image.fromarray(rgb)).number == 1
    assert [f.image_id for f in Frames(torch.stack([tensor] * 3))] == [0, 1, 2]


@pytest.mark.parametrize('shape', [(6, 8), (6, 8, 3)])
def test_images_of_16_bits_are_converted_to_8(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 2**16, shape).astype(np.uint16)
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), image)
    read = load_image(path)
    expected = image / 256 if image.ndim == 3 else np.dstack([image / 256] * 3)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    np.testing.assert_allclose(read, expected, atol=1)


def test_truncated_image_of_16_bits_has_an_error(tmp_path):
    image = np.random.default_rng(0).integers(0, 2**16, (60, 80)).astype(np.uint16)
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), image)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(OSError, match='cannot be read as an image: OSError'):
        load_image(path)


@pytest.mark.parametrize('dtype', ['int16', 'int32', 'uint32', 'float32', 'float64'])
@pytest.mark.parametrize('channels', [1, 3])
def test_tiff_of_other_numbers(tmp_path, dtype, channels):
    factor = 1 / 255 if dtype.startswith('float') else 1
    image = (COLOUR if channels == 3 else GREY) * factor
    path = tmp_path / 'a.tif'
    assert cv2.imwrite(str(path), image.astype(dtype))
    expected = COLOUR if channels == 3 else np.dstack([GREY] * 3)
    np.testing.assert_allclose(load_image(path), expected, atol=1)


@pytest.mark.parametrize('name', ['a.avif', 'a.webp', 'a.jpg', 'a.png', 'a.tif'])
def test_training_and_inference_read_the_same_pixels(tmp_path, photograph, name):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90 degrees
    path = tmp_path / name
    photograph.save(path, exif=exif)
    trained = TRANSFORMS.build(dict(type='LoadIntactImage'))(dict(img_path=str(path)))
    (frame,) = Frames(path)
    np.testing.assert_array_equal(trained['img'], frame.image)
    assert frame.image.shape[1::-1] == photograph.size[::-1]


@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(subsampling=0, quality=100),
        dict(restart_marker_rows=1),
        dict(optimize=True),
        dict(progressive=True),
    ],
)
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_half_jpeg_with_an_end_marker(tmp_path, photograph, mode, settings):
    path = tmp_path / 'a.jpg'
    whole = encode(photograph.convert(mode), **settings)
    path.write_bytes(whole)
    height, width = load_image(path).shape[:2]
    assert (width, height) == photograph.size
    for share in (0.2, 0.5):
        path.write_bytes(whole[: int(share * len(whole))] + b'\xff\xd9')
        with pytest.raises(OSError, match=EARLY):
            load_image(path)


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('value', [0, 90, 255])
def test_jpeg_with_a_plain_border_is_complete(tmp_path, progressive, value):
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    image[20:] = value
    path = tmp_path / 'a.jpg'
    data = encode(Image.fromarray(image), progressive=progressive)
    for end in (b'', bytes(9), data):  # as cameras append previews
        path.write_bytes(data + end)
        assert load_image(path).shape == (90, 70, 3)
    Image.new('RGB', (9, 9), (value,) * 3).save(path)
    assert load_image(path).shape == (9, 9, 3)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'x\.png'):
        load_image(tmp_path / 'x.png')
