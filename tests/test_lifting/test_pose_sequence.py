# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.lifting import PoseSequence, coco_to_h36m
from tests.test_lifting.factories import MISSING, random_sequence


def test_missing_frames():
    assert np.flatnonzero(random_sequence().missing).tolist() == [*MISSING]


def test_interpolation_equals_numpy_for_each_coordinate():
    sequence = random_sequence()
    filled = sequence.interpolated()
    assert not filled.missing.any()
    frames = np.arange(12)
    known = ~sequence.missing
    for name in ('keypoints', 'scores', 'bboxes'):
        values = getattr(sequence, name).reshape(12, -1)
        expected = [
            np.interp(frames, frames[known], column[known]) for column in values.T
        ]
        actual = getattr(filled, name)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(
            actual.reshape(12, -1), np.transpose(expected), rtol=1e-5
        )


def test_interpolation_in_time():
    sequence = random_sequence(number=4, missing=(1, 2))
    filled = sequence.interpolated((0.0, 0.1, 0.5, 1.0)).keypoints
    start, end = sequence.keypoints[[0, 3]]
    np.testing.assert_allclose(filled[1], 0.9 * start + 0.1 * end, rtol=1e-5)
    np.testing.assert_allclose(filled[2], 0.5 * start + 0.5 * end, rtol=1e-5)


def test_conversion():
    sequence = random_sequence()
    converted = sequence.converted('h36m')
    joints, scores = coco_to_h36m(sequence.keypoints, sequence.scores)
    np.testing.assert_array_equal(converted.keypoints, joints)
    np.testing.assert_array_equal(converted.scores, scores)
    assert converted.layout == 'h36m'
    assert sequence.converted('coco') is sequence
    np.testing.assert_array_equal(converted.missing, sequence.missing)


def test_raises_on_layouts_that_do_not_fit():
    with pytest.raises(ValueError, match="layout h36m cannot be converted to 'coco'"):
        random_sequence(layout='h36m').converted('coco')
    with pytest.raises(ValueError, match="layout must be one of .* got 'mpii'"):
        random_sequence(layout='mpii')
    arrays = np.zeros((2, 16, 2)), np.zeros((2, 16)), np.zeros((2, 5))
    with pytest.raises(ValueError, match=r'must be \(F, 17, 2\), got \(2, 16, 2\)'):
        PoseSequence(*arrays, 'coco')


def test_raises_without_any_pose():
    with pytest.raises(ValueError, match='no frame has a pose'):
        random_sequence(missing=range(12)).interpolated()
