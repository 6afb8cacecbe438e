# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest

from rmpe_plugin.tracking import BOX_TRACKERS, NOT_TRACKED, BoxTracker
from tests.test_tracking.people import people, walker


@pytest.mark.parametrize('name', BOX_TRACKERS)
def test_ids_are_those_of_the_rows(name):
    pytest.importorskip('trackers')
    tracker = BoxTracker(name)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (240, 600, 3), np.uint8)
    seen = {}
    for i in range(30):
        order = rng.permutation(3)
        poses = np.array([walker(100 + i), walker(300), walker(500 - i)])
        frame = people(*poses[order], scores=np.array([0.9, 0.9, 0.05])[order])
        if i == 20:
            frame.bboxes[order == 0] = np.nan
        ids = tracker.update(frame, i / 25, image)
        assert ids.shape == (3,)
        for person, track in zip(order, ids, strict=True):
            seen.setdefault(person, []).append(track)
    for person in (0, 1):
        ids = np.array(seen[person])
        assert (ids[5:20] == ids[5]).all() and ids[-1] == ids[5] >= 1
    assert seen[0][5] != seen[1][5]
    assert seen[0][20] == NOT_TRACKED
    assert set(seen[2]) == {NOT_TRACKED}


@pytest.mark.parametrize('name', BOX_TRACKERS)
def test_no_people_and_times(name):
    pytest.importorskip('trackers')
    tracker = BoxTracker(name, minimum_consecutive_frames=1)
    assert tracker.update(people()).shape == (0,)
    tracker.update(people(walker(100)))
    assert tracker.update(people(walker(100))).tolist() == [1]
    for time in (0.08, np.nan):
        with pytest.raises(ValueError, match='timestamp'):
            tracker.update(people(walker(100)), time)
    assert tracker.update(people(walker(100)), 0.12).tolist() == [1]


def test_error_without_the_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(ImportError, match=r"pip install 'rmpe_plugin\[track\]'"):
        BoxTracker('ocsort')


def test_raises_on_an_unknown_name():
    with pytest.raises(ValueError, match="name must be one of .* got 'pose'"):
        BoxTracker('pose')
