# SPDX-License-Identifier: Apache-2.0
"""Images that are whole, and images cut off anywhere."""

import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS
from PIL import Image


@pytest.fixture
def load():
    """What loads a file."""
    transform = TRANSFORMS.build(dict(type='LoadWholeImage'))
    return lambda path: transform(dict(img_path=str(path)))['img']


@pytest.fixture
def picture():
    """A smooth picture (60, 80, 3)."""
    y, x = np.mgrid[:60, :80]
    return np.stack((3 * x, 4 * y, 2 * (x + y) % 256), axis=-1).astype(np.uint8)


@pytest.mark.parametrize('name', ['a.jpg', 'progressive.jpg', 'padded.jpg', 'a.png'])
def test_whole_images_are_what_opencv_reads(name, load, picture, tmp_path):
    path = tmp_path / name
    settings = dict(progressive=True) if name.startswith('progressive') else {}
    Image.fromarray(picture).save(path, **settings)
    if name.startswith('padded'):
        path.write_bytes(path.read_bytes() + bytes(7))
    # the two may round a transform of cosines otherwise
    np.testing.assert_allclose(
        load(path).astype(int), cv2.imread(str(path)).astype(int), atol=2
    )


@pytest.mark.parametrize('progressive', [False, True])
def test_an_image_cut_off_anywhere_is_refused_by_its_name(
    progressive, load, picture, tmp_path
):
    whole, cut = tmp_path / 'whole.jpg', tmp_path / 'cut.jpg'
    # with a preview of itself among what comes before the picture
    exif = Image.Exif()
    Image.fromarray(picture[:8, :8]).save(whole)
    exif[0x010E] = whole.read_bytes()
    Image.fromarray(picture).save(whole, progressive=progressive, exif=exif)
    content = whole.read_bytes()
    assert content.count(b'\xff\xd9') >= 2
    assert load(whole).shape == picture.shape
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises((OSError, AssertionError), match=r'cut\.jpg'):
            load(cut)


def test_a_file_that_is_not_there(load, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a\.jpg'):
        load(tmp_path / 'a.jpg')


def test_a_picture_in_memory_stays(picture):
    transform = TRANSFORMS.build(dict(type='LoadWholeImage'))
    assert transform(dict(img=picture))['img'] is picture
