# SPDX-License-Identifier: Apache-2.0
"""LoadIntactImage on complete images and on images truncated at any byte."""

import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS
from PIL import Image


@pytest.fixture
def load():
    """Function that loads a file with LoadIntactImage."""
    transform = TRANSFORMS.build(dict(type='LoadIntactImage'))
    return lambda path: transform(dict(img_path=str(path)))['img']


@pytest.fixture
def image():
    """A smooth image (60, 80, 3)."""
    y, x = np.mgrid[:60, :80]
    return np.stack((3 * x, 4 * y, 2 * (x + y) % 256), axis=-1).astype(np.uint8)


@pytest.mark.parametrize('name', ['a.jpg', 'progressive.jpg', 'padded.jpg', 'a.png'])
def test_complete_images_equal_opencv(name, load, image, tmp_path):
    path = tmp_path / name
    settings = dict(progressive=True) if name.startswith('progressive') else {}
    Image.fromarray(image).save(path, **settings)
    if name.startswith('padded'):
        path.write_bytes(path.read_bytes() + bytes(7))
    # The decoders may round differently.
    np.testing.assert_allclose(
        load(path).astype(int), cv2.imread(str(path)).astype(int), atol=2
    )


@pytest.mark.parametrize('mode', ['I;16', 'L', 'LA', 'RGBA', 'P', '1'])
def test_images_of_other_modes_equal_opencv(mode, load, image, tmp_path):
    path = tmp_path / 'a.png'
    if mode == 'I;16':
        Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(image).convert(mode).save(path)
    loaded = load(path)
    assert 50 < loaded.mean() < 200
    np.testing.assert_array_equal(loaded, cv2.imread(str(path)))


def test_raises_on_a_truncated_png(load, image, tmp_path):
    path = tmp_path / 'cut.png'
    Image.fromarray(image).save(path)
    content = path.read_bytes()
    for length in range(0, len(content) - 12, 50):  # the last 12 bytes are IEND
        path.write_bytes(content[:length])
        with pytest.raises(OSError, match=r'cut\.png cannot be read as an image'):
            load(path)


@pytest.mark.parametrize('progressive', [False, True])
def test_raises_on_an_image_truncated_at_any_byte(progressive, load, image, tmp_path):
    whole, cut = tmp_path / 'whole.jpg', tmp_path / 'cut.jpg'
    # The metadata contains a preview, which is a JPEG as well.
    exif = Image.Exif()
    Image.fromarray(image[:8, :8]).save(whole)
    exif[0x010E] = whole.read_bytes()
    Image.fromarray(image).save(whole, progressive=progressive, exif=exif)
    content = whole.read_bytes()
    assert content.count(b'\xff\xd9') >= 2
    assert load(whole).shape == image.shape
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises((OSError, AssertionError), match=r'cut\.jpg'):
            load(cut)


def test_float32(image, tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(image).save(path)
    transform = TRANSFORMS.build(dict(type='LoadIntactImage', to_float32=True))
    loaded = transform(dict(img_path=str(path)))
    assert loaded['img'].dtype == np.float32
    assert loaded['img_shape'] == loaded['ori_shape'] == (60, 80)
    np.testing.assert_array_equal(loaded['img'], image[..., ::-1])


def test_raises_on_missing_file(load, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a\.jpg'):
        load(tmp_path / 'a.jpg')


def test_keeps_an_image_in_memory(image):
    transform = TRANSFORMS.build(dict(type='LoadIntactImage'))
    assert transform(dict(img=image))['img'] is image
