# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import Frames
from rmpe_plugin.inference import image_id_of, read_image
from rmpe_plugin.utils.images import to_bgr

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.dstack((GREY, GREY + 50, GREY + 100))


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


@pytest.mark.parametrize('shape', [(6, 8), (6, 8, 3)])
def test_images_of_16_bits_are_converted_to_8(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 2**16, shape).astype(np.uint16)
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), image)
    read = read_image(path, 0).image
    expected = image / 256 if image.ndim == 3 else np.dstack([image / 256] * 3)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    np.testing.assert_allclose(read, expected, atol=1)


def test_truncated_image_of_16_bits_has_an_error(tmp_path):
    image = np.random.default_rng(0).integers(0, 2**16, (60, 80)).astype(np.uint16)
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), image)
    path.write_bytes(path.read_bytes()[:4000])
    frame = read_image(path, 0)
    assert frame.image is None
    assert 'OSError' in frame.error


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (GREY.astype(float), 'got float64'),
        (np.zeros((2, 3, 2), np.uint8), r'\(2, 3, 2\)'),
        (np.zeros((2, 3, 3, 3), np.uint8), r'\(2, 3, 3, 3\)'),
        (np.zeros((0, 3, 3), np.uint8), r'must not be empty, got shape \(0, 3, 3\)'),
    ],
)
def test_unsupported_array_is_reported_and_the_others_are_read(image, message):
    with pytest.raises(ValueError, match=message):
        to_bgr(image)
    frames = list(Frames([COLOUR, image, GREY]))
    assert [bool(f.error) for f in frames] == [False, True, False]
    assert frames[1].image is None
    assert [f.image_id for f in frames] == [0, 1, 2]


@pytest.mark.parametrize(
    ('name', 'image_id'),
    [('000000000785.jpg', 785), ('a/12.png', 12), ('1a.png', '1a.png')],
)
def test_image_id_is_the_number_in_the_file_name(tmp_path, name, image_id):
    assert image_id_of(tmp_path / name) == image_id


def test_read_image_returns_the_error_of_a_missing_file(tmp_path):
    frame = read_image(tmp_path / 'x.png', image_id=3)
    assert frame.image is None
    assert frame.image_id == 3
    assert frame.error.startswith('FileNotFoundError')


def test_image_files_equal_opencv(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    arrays = {'c.png': image, 'g.png': image[..., 0], 'j.jpg': image}
    for name, array in arrays.items():
        assert cv2.imwrite(str(tmp_path / name), array)
    for name in arrays:
        (frame,) = Frames(tmp_path / name)
        np.testing.assert_array_equal(frame.image, cv2.imread(str(tmp_path / name)))
        assert frame.image_id == name
        assert frame.video == ''
