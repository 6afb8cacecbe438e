# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.fitting.matching import MatchedPeople
from rmpe_plugin.fitting.proposal_fitting import find_torso, hold_out_images
from tests.test_fitting.factories import COCO, detection, person


def people(num_images, per_image=2):
    """People in images that are numbered from 1."""
    images = [dict(id=i + 1, width=100, height=100) for i in range(num_images)]
    pairs = [
        (person(image['id']), detection(image['id']))
        for image in images
        for _ in range(per_image)
    ]
    return MatchedPeople.from_pairs(pairs, images)


def test_torso_of_coco():
    assert find_torso(COCO['keypoint_name2id']) == ((5, 6), (11, 12))


def test_raises_without_a_torso():
    with pytest.raises(ValueError, match='no keypoint left_hip, right_hip'):
        find_torso(dict(left_shoulder=0, right_shoulder=1))


def test_held_out_people_are_of_other_images():
    everyone = people(20)
    fitted, held_out = hold_out_images(everyone, 0.25, seed=3)
    images = set(fitted.image_ids.tolist()), set(held_out.image_ids.tolist())
    assert len(images[0]) == 15
    assert len(images[1]) == 5
    assert not images[0] & images[1]
    assert len(fitted) + len(held_out) == len(everyone)
    again = hold_out_images(everyone, 0.25, seed=3)
    np.testing.assert_array_equal(again[1].image_ids, held_out.image_ids)
    other = hold_out_images(everyone, 0.25, seed=4)
    assert set(other[1].image_ids.tolist()) != images[1]


@pytest.mark.parametrize(('num_images', 'share'), [(3, 0.5), (20, 0.01)])
def test_raises_on_too_few_people(num_images, share):
    with pytest.raises(ValueError, match='at least 5 people to fit to and 2 held-out'):
        hold_out_images(people(num_images), share)
