# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from rmpe_plugin.inference import Frames, image_id_of, read_image


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
    assert 'No such file' in frame.error


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
