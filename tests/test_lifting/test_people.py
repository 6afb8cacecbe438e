# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.lifting import choose_person
from tests.test_lifting.factories import people

LEFT, RIGHT = (0, 0, 50, 100, 0.6), (200, 0, 260, 100, 0.9)


def test_only_person():
    frames = [people(LEFT, seed=1), people(), people(RIGHT, seed=2)]
    sequence = choose_person(frames, 'only', 'coco')
    assert sequence.missing.tolist() == [False, True, False]
    np.testing.assert_allclose(sequence.keypoints[2], frames[2].keypoints[0], rtol=1e-6)
    np.testing.assert_allclose(sequence.bboxes[0], LEFT, rtol=1e-6)
    assert np.isnan(sequence.scores[1]).all()


def test_best_person():
    sequence = choose_person([people(LEFT, RIGHT), people(LEFT)], 'best', 'coco')
    np.testing.assert_allclose(sequence.bboxes, [RIGHT, LEFT], rtol=1e-6)


def test_person_of_given_boxes():
    frames = [people(LEFT, RIGHT), people(LEFT, RIGHT), people(RIGHT), people(LEFT)]
    boxes = np.array(
        [[5.0, 5, 55, 95], [205, 0, 260, 90], [0, 0, 50, 100], [np.nan] * 4]
    )
    sequence = choose_person(frames, boxes, 'coco')
    np.testing.assert_allclose(sequence.bboxes[:2], [LEFT, RIGHT], rtol=1e-6)
    # The person in the third box was not detected; the fourth box is not known.
    assert sequence.missing.tolist() == [False, False, True, True]


def test_errors():
    with pytest.raises(ValueError, match='walk has no frames'):
        choose_person([], 'best', 'coco', 'walk')
    with pytest.raises(ValueError, match='no person was detected in 2 frames of walk'):
        choose_person([people(), people()], 'best', 'coco', 'walk')
    frames = [people(LEFT), people(LEFT, RIGHT)]
    with pytest.raises(ValueError, match="1 frames .* the first is 1: choose 'best'"):
        choose_person(frames, 'only', 'coco')
    with pytest.raises(ValueError, match="choice must be one of .* got 'largest'"):
        choose_person(frames, 'largest', 'coco')
    with pytest.raises(ValueError, match=r'boxes must be \(2, 4\), got \(1, 4\)'):
        choose_person(frames, np.zeros((1, 4)), 'coco')
    with pytest.raises(ValueError, match='no box shows a person'):
        choose_person(frames, np.tile([900.0, 900, 950, 950], (2, 1)), 'coco')
