# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.tracking import NOT_TRACKED, PoseTracker
from tests.test_tracking.people import SIGMAS, people, walker


def run(tracker, frames, fps=25.0):
    """Ids of the people of each frame."""
    return [
        tracker.update(frame, i / fps).tolist()
        for i, frame in enumerate(frames)
        if frame is not None
    ]


def crossing(number=60, phases=(0.0, 2.0)):
    """Two people who walk through each other, as (first, second) of each frame."""
    for i in range(number):
        yield (
            walker(40 + 6 * i, phase=0.3 * i + phases[0]),
            walker(394 - 6 * i, phase=0.3 * i + phases[1]),
        )


@pytest.mark.parametrize('similarity', ['oks', 'rmpe'])
def test_ids_stay_with_people_who_cross(similarity):
    frames = [people(*pair) for pair in crossing()]
    assert run(PoseTracker(SIGMAS, similarity=similarity), frames) == [[1, 2]] * 60


def test_ids_do_not_depend_on_the_order_of_the_people():
    frames = [people(*pair[:: 1 if i % 2 else -1]) for i, pair in enumerate(crossing())]
    ids = run(PoseTracker(SIGMAS), frames)
    assert ids == [[1, 2] if i % 2 == 0 else [2, 1] for i in range(60)]


@pytest.mark.parametrize('similarity', ['oks', 'rmpe'])
def test_poses_tell_apart_people_whose_boxes_are_equal(similarity):
    """Only the arms and legs differ."""
    poses = walker(100, phase=np.pi / 2), walker(100, phase=-np.pi / 2)
    box = [60, 40, 140, 160]
    tracker = PoseTracker(SIGMAS / 2, similarity=similarity)
    frames = [people(*poses, boxes=[box, box]), people(*poses[::-1], boxes=[box, box])]
    assert run(tracker, frames) == [[1, 2], [2, 1]]
    boxes_only = PoseTracker(SIGMAS / 2, similarity=similarity, pose_weight=0)
    assert run(boxes_only, frames) == [[1, 2], [1, 2]]


def test_boxes_decide_where_two_poses_are_of_one_person():
    """The pose of the second person jumps to the first one, its box does not."""
    first, second = walker(100), walker(125, phase=2)
    boxes = people(first, second).bboxes
    frames = [people(first, second)] * 3
    frames.append(people(first + 0.5, first - 0.5, boxes=boxes))
    frames.append(people(first - 0.5, first + 0.5, boxes=boxes))
    assert run(PoseTracker(SIGMAS), frames) == [[1, 2]] * 5


@pytest.mark.parametrize(('missing', 'expected'), [(20, 1), (30, 2)])
def test_lost_tracks_come_back_within_a_second(missing, expected):
    frames = [people(walker(40 + 4 * i)) for i in range(60)]
    frames[10 : 10 + missing] = [people()] * missing
    ids = run(PoseTracker(SIGMAS), frames)
    assert ids[9] == [1]
    assert ids[10 + missing] == [expected]


@pytest.mark.parametrize(('step', 'expected'), [(28, 1), (44, 2)])
def test_little_overlap_is_enough_where_no_one_else_is(step, expected):
    """The box is 44 pixels wide."""
    frames = [people(walker(100))] * 3 + [people(walker(100 + step))]
    assert run(PoseTracker(SIGMAS), frames)[-1] == [expected]


def test_a_track_of_a_single_frame_does_not_come_back():
    frames = [people(walker(100)), people(), people(walker(100))]
    assert run(PoseTracker(SIGMAS), frames) == [[1], [], [2]]


def test_people_who_are_not_similar_to_a_track_start_one():
    frames = [people(walker(100)), people(walker(100)), people(walker(118))]
    assert run(PoseTracker(SIGMAS), frames)[-1] == [1]
    assert run(PoseTracker(SIGMAS, min_similarity=0.6), frames)[-1] == [2]


def test_low_scores_continue_tracks_and_start_none():
    weak, strong = people(walker(100), scores=0.2), people(walker(100))
    ids = run(PoseTracker(SIGMAS), [weak, strong, weak, weak])
    assert ids == [[NOT_TRACKED], [1], [1], [1]]


def test_high_scores_are_matched_first():
    """The weak pose is nearer to the track than the strong one."""
    frames = [people(walker(100))] * 2
    frames.append(people(walker(101), walker(104), scores=(0.2, 0.9)))
    assert run(PoseTracker(SIGMAS), frames)[-1] == [NOT_TRACKED, 1]


@pytest.mark.parametrize('step', [0.01, 0.04, 0.2])
def test_motion_is_in_seconds_of_any_frame_rate(step):
    """At 5 frames a second, boxes of a running person do not overlap."""
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.5, 1.5, 60) * step)
    # From standing to a speed of two heights a second within two seconds.
    early = times.clip(max=2)
    places = 50 * early**2 + 200 * (times - early)
    tracker = PoseTracker(SIGMAS)
    frames = zip(places, times, strict=True)
    ids = [tracker.update(people(walker(x)), t).item() for x, t in frames]
    assert set(ids) == {1}
    assert step < 0.2 or np.diff(places).max() > 44  # the width of the box


def test_frames_without_times_are_at_the_frame_rate():
    frames = [people(*pair) for pair in crossing()]
    tracker = PoseTracker(SIGMAS, frame_rate=25)
    without = [tracker.update(frame).tolist() for frame in frames]
    assert without == run(PoseTracker(SIGMAS), frames)


@pytest.mark.parametrize('time', [0.5, 0.4, -1.0, np.nan, np.inf])
def test_raises_on_times_that_do_not_increase(time):
    tracker = PoseTracker(SIGMAS)
    tracker.update(people(walker(100)), 0.5)
    with pytest.raises(ValueError, match='timestamp'):
        tracker.update(people(walker(100)), time)
    # The tracker goes on.
    assert tracker.update(people(walker(101)), 0.54).tolist() == [1]


def test_no_people_and_one_frame():
    tracker = PoseTracker(SIGMAS)
    for i in range(3):
        ids = tracker.update(people(), i)
        assert ids.shape == (0,) and ids.dtype == int
    assert PoseTracker(SIGMAS).update(people(walker(1), walker(300))).tolist() == [1, 2]


def test_values_that_are_not_finite():
    good = people(walker(100), walker(300), walker(500))
    bad = people(walker(101), walker(301), walker(501))
    bad.keypoints[0, :8] = np.nan
    bad.keypoint_scores[0, 9] = np.nan
    bad.keypoint_scores[0, 10] = np.inf
    bad.keypoints[1] = np.nan  # its box is known
    bad.bboxes[2, 0] = np.nan
    tracker = PoseTracker(SIGMAS)
    with np.errstate(all='raise', under='ignore'):
        ids = run(tracker, [good, good, bad, good, good])
    assert ids == [[1, 2, 3], [1, 2, 3], [1, 2, NOT_TRACKED], [1, 2, 3], [1, 2, 3]]
    for frames in ([bad, good, good], [bad, bad, good]):
        assert [x[:2] for x in run(PoseTracker(SIGMAS), frames)] == [[1, 2]] * 3


def test_thousands_of_people():
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(50) * 60, np.arange(40) * 130), -1)
    poses = [walker(x, y=y, phase=p) for (x, y), p in zip(
        places.reshape(-1, 2), rng.uniform(0, 6, 2000), strict=True
    )]  # fmt: skip
    frame = people(*poses)
    tracker = PoseTracker(SIGMAS)
    expected = np.arange(1, 2001)
    for shift in range(3):
        order = rng.permutation(2000)
        moved = frame[order] if shift else frame
        moved.keypoints = moved.keypoints + shift
        ids = tracker.update(moved)
        np.testing.assert_array_equal(ids, expected[order] if shift else expected)


def test_repeated_runs_are_equal():
    rng = np.random.default_rng(1)
    frames = [
        people(*(walker(x) for x in rng.uniform(0, 300, n)), scores=rng.random(n))
        for n in rng.integers(0, 9, 50)
    ]
    assert run(PoseTracker(SIGMAS), frames) == run(PoseTracker(SIGMAS), frames)
    ids = run(PoseTracker(SIGMAS), frames)
    for frame in ids:
        tracked = [i for i in frame if i != NOT_TRACKED]
        assert len(tracked) == len(set(tracked))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(similarity='iou'), 'similarity must be one of'),
        (dict(sigmas=[0.1, 0]), 'sigmas must be positive'),
        (dict(sigmas=[[0.1]]), 'sigmas must be positive'),
        (dict(sigmas=[]), 'sigmas must be positive'),
        (dict(pose_weight=1.1), r'pose_weight must be in \[0, 1\]'),
        (dict(min_similarity=0), 'min_similarity must be above 0'),
        (dict(max_lost=np.nan), 'max_lost must be above 0'),
        (dict(frame_rate=0), 'frame_rate must be positive'),
    ],
)
def test_raises_on_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        PoseTracker(**{'sigmas': SIGMAS, **arguments})


def test_raises_on_another_number_of_keypoints():
    with pytest.raises(ValueError, match=r'keypoints must be \(N, 16, 2\)'):
        PoseTracker(SIGMAS[:16]).update(people(walker(1)))
