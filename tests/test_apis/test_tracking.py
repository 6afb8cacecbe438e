# SPDX-License-Identifier: Apache-2.0
"""Ids in the inferencer, of people who are rectangles of one grey value each."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData

from rmpe_plugin.apis import Detector, Frames, RMPEInferencer
from rmpe_plugin.inference import pose_instances
from rmpe_plugin.tracking import PoseTracker
from tests.test_tracking.people import BODY, SIGMAS


def image(*people):
    """An image with a rectangle of a grey value at x for each (value, x).

    That of 190 is lower and narrower, so that it hides no other one.
    """
    array = np.zeros((190, 320, 3), np.uint8)
    for value, x in people:
        width, top = (30, 70) if value == 190 else (40, 30)
        corner = x + width - 1, top + 99
        cv2.rectangle(array, (x, top), corner, (value,) * 3, -1)
    return array


def rectangle(array, value):
    """Box of a grey value, which JPEG and video codecs change a little."""
    rows, columns = np.nonzero(abs(array[..., 0].astype(int) - value) < 10)
    return np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)


def value_in(array):
    """The grey value that covers most of a part of an image."""
    counts = np.bincount(array[..., 0].ravel() // 20)
    counts[0] = 0
    return 20 * counts.argmax() + 10


class RectangleDetector(Detector):
    calls = 0

    def preprocess(self, array):
        return array

    def predict(self, inputs):
        self.calls += len(inputs)
        return [self.people(array) for array in inputs]

    def people(self, array):
        values = np.flatnonzero(np.bincount(array[..., 0].ravel() // 20) > 900)
        boxes = [rectangle(array, 20 * v + 10) + (-5, -5, 5, 5) for v in values if v]
        return InstanceData(
            bboxes=np.reshape(boxes, (-1, 4)).astype(np.float32),
            bbox_scores=np.full(len(boxes), 0.9, np.float32),
        )


def estimate(images, people, batch):
    """Poses in the rectangles that cover most of the boxes."""
    poses = []
    for array, boxes in zip(images, people, strict=True):
        for x1, y1, x2, y2 in boxes.bboxes.clip(0).astype(int):
            box = rectangle(array, value_in(array[y1:y2, x1:x2]))
            size = box[2:] - box[:2]
            poses.append(box[:2] + (BODY + (0.14, 0)) / (0.28, 1) * size)
    return pose_instances(
        np.reshape(poses, (-1, 17, 2)), np.full((len(poses), 17), 0.8)
    )


@pytest.fixture
def make(monkeypatch, coco_meta):
    """Function that makes an inferencer for rectangles."""
    estimator = SimpleNamespace(estimate=estimate, dataset_meta=coco_meta)
    module = 'rmpe_plugin.apis.rmpe_inferencer.load_estimator'
    monkeypatch.setattr(module, lambda *args: estimator)

    def make(**options):
        detector = RectangleDetector()
        return RMPEInferencer('x', detector=detector, image_batch=4, **options)

    return make


def crossing(number=24):
    return [image((90, 20 + 8 * i), (190, 240 - 8 * i)) for i in range(number)]


def ids_by_value(results):
    """Ids of each grey value, in frames where its rectangle is seen."""
    ids = {}
    for result in results:
        people = result.poses.pred_instances
        for (x1, y1, x2, y2), track in zip(
            people.bboxes.clip(0).astype(int), people.track_ids, strict=True
        ):
            value = value_in(result.frame.image[y1:y2, x1:x2])
            ids.setdefault(value, []).append(int(track))
    return ids


def test_people_have_ids_only_with_a_tracker(make):
    for result in make()(crossing(2)):
        assert 'track_ids' not in result.poses.pred_instances


@pytest.mark.parametrize('track', ['pose', lambda: PoseTracker(SIGMAS)])
def test_ids_stay_with_people(make, track):
    ids = ids_by_value(make(track=track)(crossing()))
    assert {len(set(x)) for x in ids.values()} == {1}
    assert sorted(x[0] for x in ids.values()) == [1, 2]


def test_ids_restart_in_each_video_and_folder(make, tmp_path):
    for name in ('a.mp4', 'b.avi'):
        codec = cv2.VideoWriter.fourcc(*('mp4v' if name == 'a.mp4' else 'MJPG'))
        video = cv2.VideoWriter(str(tmp_path / name), codec, 25, (320, 190))
        for array in crossing(5):
            video.write(array)
        video.release()
    (tmp_path / 'images').mkdir()
    for i, array in enumerate(crossing(12)):
        cv2.imwrite(str(tmp_path / f'images/{i}.png'), array)
    inputs = [tmp_path / 'a.mp4', tmp_path / 'images', tmp_path / 'b.avi']
    results = list(make(track='pose')(inputs))
    assert len(results) == 22
    # The images 10 and 11 are behind 9.
    assert [r.frame.image_id for r in results[5:17]] == [*range(12)]
    for part in (results[:5], results[5:17], results[17:]):
        ids = ids_by_value(part)
        assert sorted(map(set, ids.values()), key=min) == [{1}, {2}]


@pytest.mark.parametrize('det_every', [1, 3, 100])
def test_boxes_follow_people_between_detections(make, det_every):
    inferencer = make(track='pose', det_every=det_every)
    frames = [image((90, 20 + 4 * i)) for i in range(24)]
    results = list(inferencer(frames))
    assert inferencer.detector.calls == -(-24 // det_every)
    assert ids_by_value(results) == {90: [1] * 24}
    for i, result in enumerate(results):
        (box,) = result.poses.pred_instances.bboxes
        expected = (15 + 4 * i, 25, 64 + 4 * i, 134)
        np.testing.assert_allclose(box, expected, atol=9)


def test_a_video_of_one_frame_and_frames_without_people(make):
    for det_every in (1, 2):
        inferencer = make(track='pose', det_every=det_every, smooth=True)
        (result,) = inferencer([image((90, 20))])
        assert result.poses.pred_instances.track_ids.tolist() == [1]
        frames = [image(), image(), image((90, 20)), image((90, 20))]
        ids = [r.poses.pred_instances.track_ids.tolist() for r in inferencer(frames)]
        assert ids == [[], [], [1], [1]]


@pytest.mark.parametrize('det_every', [1, 2])
def test_frames_that_cannot_be_read_stop_no_others(make, tmp_path, det_every):
    for i, array in enumerate(crossing(5)):
        cv2.imwrite(str(tmp_path / f'{i}.png'), array)
    for i in (0, 3):
        (tmp_path / f'{i}.png').write_bytes(b'broken')
    results = list(make(track='pose', det_every=det_every)(tmp_path))
    assert [bool(r.frame.error) for r in results] == [True, False, False, True, False]
    ids = [sorted(r.poses.pred_instances.track_ids.tolist()) for r in results]
    assert ids == [[], [1, 2], [1, 2], [], [1, 2]]


def test_smooths_keypoints(make):
    frames = [image((90, x)) for x in (20, 30, 22, 32)]
    raw, smooth = (
        [r.poses.pred_instances.keypoints[0] for r in make(track='pose', **x)(frames)]
        for x in ({}, dict(smooth=True))
    )
    np.testing.assert_array_equal(smooth[0], raw[0])
    assert np.ptp(np.array(smooth)[:, 0, 0]) < np.ptp(np.array(raw)[:, 0, 0])


def test_tracks_given_boxes(make):
    inferencer = make(track='pose')
    inferencer.detector = None
    boxes = [[[15, 25, 64, 134]], [[19, 25, 68, 134]]]
    results = inferencer([image((90, 20)), image((90, 24))], boxes)
    assert ids_by_value(results) == {90: [1, 1]}


def test_raises_on_invalid_settings(make, monkeypatch):
    monkeypatch.setattr('rmpe_plugin.tracking.people_tracker.BoxTracker', print)
    for options, message in (
        (dict(track='sort'), "track must be one of .* got 'sort'"),
        (dict(det_every=0), 'det_every must be at least 1, got 0'),
        (dict(det_every=2), "det_every=2 needs track='pose'.* got track=None"),
        (dict(det_every=2, track='ocsort'), "got track='ocsort'"),
        (dict(det_every=2, track=lambda: None), 'a tracker with predict_boxes'),
        (dict(smooth=True), 'smooth=True needs a tracker'),
    ):
        with pytest.raises(ValueError, match=message):
            make(**options)
    inferencer = make(track='pose', det_every=2)
    inferencer.detector = None
    with pytest.raises(ValueError, match='det_every=2 needs a detector, got boxes'):
        inferencer([image()], [[]])


def test_raises_on_images_of_a_folder_that_do_not_follow_each_other(make, tmp_path):
    names = []
    for folder, number in (('a', 1), ('b', 2), ('a', 3)):
        (tmp_path / folder).mkdir(exist_ok=True)
        names.append(str(tmp_path / folder / f'{number}.png'))
        cv2.imwrite(names[-1], image((90, 20)))
    with pytest.raises(ValueError, match=f'between the images of {tmp_path}/a'):
        make(track='pose')(names)
    assert len(list(make()(names))) == 3
    assert len(list(make(track='pose')(Frames([names[0], names[2], names[1]])))) == 3
