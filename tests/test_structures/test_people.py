# SPDX-License-Identifier: Apache-2.0
import pytest

from rmpe_plugin.structures import area_of, is_evaluated, reference_length


@pytest.mark.parametrize(
    ('annotation', 'expected'),
    [
        (dict(keypoints=[1, 2, 1, 0, 0, 0]), True),
        (dict(keypoints=[1, 2, 0]), False),
        (dict(keypoints=[1, 2, 2], iscrowd=1), False),
        (dict(), False),
    ],
)
def test_is_evaluated(annotation, expected):
    assert is_evaluated(annotation) is expected


def test_area_is_annotated_or_a_share_of_the_box():
    assert area_of(dict(area=7.0, bbox=[0, 0, 10, 10])) == 7
    assert area_of(dict(bbox=[5, 5, 10, 20])) == pytest.approx(106)


def test_reference_length():
    assert reference_length(dict(head_box=[1, 1, 3, 4]), 'head_box') == pytest.approx(3)
    assert reference_length(dict(torso=12), 'torso') == 12


@pytest.mark.parametrize('value', [None, 0, -1, [1, 2], 'long', [0, 0, 0, 0]])
def test_raises_without_reference_length(value):
    with pytest.raises(ValueError, match="annotation 3 must have 'head_box'"):
        reference_length(dict(id=3, head_box=value), 'head_box')
