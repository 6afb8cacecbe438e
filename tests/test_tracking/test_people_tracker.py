# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest

from rmpe_plugin.inference import Frame
from rmpe_plugin.tracking import PeopleTracker, PoseTracker, tracker_maker
from tests.test_tracking.people import SIGMAS, people, walker

IMAGE = np.zeros((200, 320, 3), np.uint8)


def make():
    return PoseTracker(SIGMAS)


def video_frame(index, video='a.mp4', image=IMAGE, time=None):
    return Frame(index, f'{video} frame {index}', image, video=video, time=time)


def test_ids_restart_in_each_video():
    tracker, ids = PeopleTracker(make), []
    frames = [
        video_frame(0), video_frame(1), video_frame(0, 'b.mp4'),
        Frame(1, 'c/1.jpg', IMAGE), Frame(2, 'c/2.jpg', IMAGE),
        Frame(1, 'd/1.jpg', IMAGE),
    ]  # fmt: skip
    for i, frame in enumerate(frames):
        found = people(walker(100), walker(200 + i))[:: -1 if i % 2 else 1]
        tracker.update(frame, found)
        ids.append(found.track_ids.tolist())
    # a.mp4, b.mp4, and the folders c and d
    assert ids == [[1, 2], [2, 1], [1, 2], [1, 2], [2, 1], [1, 2]]


def test_frames_that_were_not_read_have_no_ids():
    tracker = PeopleTracker(make, smooth=True)
    for i, image in enumerate((IMAGE, None, IMAGE)):
        found = people(walker(100)) if image is not None else people()
        tracker.update(video_frame(i, image=image, time=i / 25), found)
        assert found.track_ids.tolist() == ([1] if len(found) else [])


def test_smooths_keypoints():
    tracker = PeopleTracker(make, smooth=True)
    for i in range(3):
        pose = walker(100 + i)
        found = people(pose)
        tracker.update(video_frame(i), found)
        assert (found.keypoints[0, :, 0] == pose[:, 0]).all() == (i == 0)


def test_smoothing_starts_anew_in_each_video():
    tracker = PeopleTracker(make, smooth=True)
    for time, video in ((1.0, 'a.mp4'), (0.0, 'b.mp4')):
        found = people(walker(100 + time))
        tracker.update(video_frame(0, video, time=time), found)
        np.testing.assert_array_equal(found.keypoints[0], walker(100 + time))


def follow(tracker, poses, first_box, image=IMAGE):
    """Boxes of a person between detections, and frames in which one is due."""
    boxes, due = [], []
    for i, pose in enumerate(poses):
        frame = video_frame(i, image=image, time=i / 25)
        found = tracker.predict_boxes(frame)
        if found is None:
            due.append(i)
            box = first_box + (pose.mean(0) - poses[0].mean(0))[[0, 1, 0, 1]]
            found = people(pose, boxes=[box])
        elif len(found):
            found = people(pose, boxes=found.bboxes, scores=found.bbox_scores)
        else:
            found = people()
        boxes.append(found.bboxes)
        tracker.update(frame, found)
    return boxes, due


def test_between_detections_boxes_follow_poses():
    """A person turns round after the first detection."""
    places = np.concatenate((np.arange(20) * 5.0, 95 - np.arange(20) * 5.0)) + 80
    poses = [walker(x) for x in places]
    box = np.array([60.0, 40, 110, 160])  # other margins on each side
    boxes, due = follow(PeopleTracker(make, det_every=100), poses, box)
    assert due == [0]
    shift = (places - places[0])[:, None]
    expected = box + shift * np.array([1, 0, 1, 0])
    error = np.abs(np.concatenate(boxes) - expected)
    # Where the person turns, the box is late by less than four frames.
    assert error.max() < 20
    assert error[10:19].max() < 2
    assert error[32:].max() < 4
    size = np.concatenate(boxes)[:, 2:] - np.concatenate(boxes)[:, :2]
    np.testing.assert_allclose(size, np.tile([50.0, 120], (40, 1)), atol=1)


def test_boxes_have_the_margins_of_the_last_detection():
    tracker, pose = make(), walker(100)
    first, second = [60.0, 40, 140, 160], [70.0, 45, 135, 170]
    tracker.update(people(pose, boxes=[first]))
    tracker.update(people(pose, boxes=[second]))
    found = tracker.predict_boxes()
    tracker.update(people(pose, boxes=found.bboxes), detected=False)
    np.testing.assert_allclose(tracker.predict_boxes().bboxes, [second], atol=2)


def test_boxes_keep_their_size_where_a_pose_grows():
    tracker = make()
    tracker.update(people(walker(100)))
    box = people(walker(100)).bboxes[0]
    for i in range(6):
        found = tracker.predict_boxes()
        pose = walker(100, height=100 + 10 * i)
        tracker.update(people(pose, boxes=found.bboxes), detected=False)
    (found,) = tracker.predict_boxes().bboxes
    np.testing.assert_allclose(found[2:] - found[:2], box[2:] - box[:2], rtol=1e-5)


def test_detects_every_nth_frame_of_each_video():
    tracker = PeopleTracker(make, det_every=3)
    due = []
    for video in 'ab':
        for i in range(5):
            frame = video_frame(i, video)
            found = tracker.predict_boxes(frame)
            due.append(found is None)
            found = people(walker(100)) if found is None else found_pose(found)
            tracker.update(frame, found)
    assert due == [True, False, False, True, False] * 2


def found_pose(found):
    return people(walker(100), boxes=found.bboxes, scores=found.bbox_scores)


def test_a_detection_stays_due_until_a_frame_is_read():
    tracker = PeopleTracker(make, det_every=3)
    for i, image in enumerate((None, IMAGE, IMAGE)):
        frame = video_frame(i, image=image, time=i / 25)
        found = tracker.predict_boxes(frame)
        assert (found is None) == (i < 2)
        if found is None:
            found = people() if image is None else people(walker(100))
        else:
            found = found_pose(found)
        tracker.update(frame, found)


def test_boxes_outside_the_image_are_dropped():
    poses = [walker(100 + 20 * i) for i in range(20)]
    box = people(poses[0]).bboxes[0]
    boxes, _ = follow(PeopleTracker(make, det_every=100), poses, box)
    left = next(i for i, x in enumerate(boxes) if not len(x))
    assert boxes[left - 1][0, 0] < 320 <= boxes[left - 1][0, 0] + 25
    assert all(not len(x) for x in boxes[left:])


def test_no_track_starts_between_detections():
    tracker = PeopleTracker(make, det_every=9)
    tracker.update(video_frame(0), people(walker(100)))
    assert len(tracker.predict_boxes(video_frame(1))) == 1
    found = people(walker(101), walker(250))
    tracker.update(video_frame(1), found)
    assert found.track_ids.tolist() == [1, -1]


def test_times_that_go_back():
    tracker = PeopleTracker(make, det_every=2)
    tracker.update(video_frame(0, time=1.0), people(walker(100)))
    for function in (tracker.predict_boxes, lambda f: tracker.update(f, people())):
        with pytest.raises(ValueError, match='in the order of their times'):
            function(video_frame(1, time=0.5))


def test_makers(monkeypatch):
    meta = dict(sigmas=SIGMAS, num_keypoints=17)
    assert tracker_maker('pose', meta)().update(people(walker(1))).tolist() == [1]
    without = dict(sigmas=[], num_keypoints=17)
    assert tracker_maker('pose', without)().update(people(walker(1))).tolist() == [1]
    with pytest.raises(ValueError, match="track must be one of .* got 'sort'"):
        tracker_maker('sort', meta)
    monkeypatch.setitem(sys.modules, 'trackers', None)
    with pytest.raises(ImportError, match="the extra 'track'"):
        tracker_maker('bytetrack', meta)
