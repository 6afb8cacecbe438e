# SPDX-License-Identifier: Apache-2.0
import threading

import numpy as np
import pytest
from mmengine.structures import InstanceData

from rmpe_plugin.apis import Detector, Frame, WholeImageDetector, detect_frames

IMAGE = np.zeros((4, 5, 3), np.uint8)


class WidthDetector(Detector):
    """One box at the width of an image; fails on images that are 9 pixels wide."""

    def __init__(self):
        self.batches, self.threads = [], set()

    def preprocess(self, image):
        self.threads.add(threading.current_thread())
        if image.shape[1] == 9:
            raise ValueError('9 pixels')
        return image.shape[1]

    def predict(self, inputs):
        self.batches.append(inputs)
        return [
            InstanceData(bboxes=np.full((1, 4), width), bbox_scores=np.ones(1))
            for width in inputs
        ]


def reads_of(frames):
    return [lambda frame=frame: frame for frame in frames]


def test_frames_with_errors_do_not_stop_the_others():
    frames = [Frame(i, 'x', np.zeros((4, i, 3), np.uint8)) for i in (5, 9, 6, 7)]
    frames.insert(2, Frame(8, 'missing', error='does not exist'))
    detector = WidthDetector()
    batches = list(detect_frames(detector, reads_of(frames), batch_size=2))
    assert [batch for batch, _ in batches] == [frames[:2], frames[2:4], frames[4:]]
    people = [boxes for _, batch in batches for boxes in batch]
    found = [boxes.bboxes[:, 0].tolist() for boxes in people]
    assert found == [[5], [], [], [6], [7]]
    assert [frame.error for frame in frames] == [
        '', '9 pixels', 'does not exist', '', ''
    ]  # fmt: skip
    assert frames[1].image is None
    assert detector.batches == [[5], [6], [7]]
    assert threading.current_thread() not in detector.threads


def test_only_errors_and_no_frames():
    failed = Frame(0, 'missing', error='does not exist')
    for detector in (WidthDetector(), WholeImageDetector()):
        ((_, (people,)),) = detect_frames(detector, reads_of([failed]), batch_size=4)
        assert len(people) == 0
        assert list(detect_frames(detector, [], batch_size=4)) == []


def test_without_a_detector_there_are_no_people():
    ((frames, people),) = detect_frames(None, reads_of([Frame(0, 'x', IMAGE)]), 4)
    assert frames[0].image is IMAGE
    assert [boxes.bboxes.shape for boxes in people] == [(0, 4)]


def test_call_detects_in_a_batch_and_raises():
    detector = WidthDetector()
    people = detector([IMAGE, IMAGE[:, :2]])
    assert [boxes.bboxes[0, 0] for boxes in people] == [5, 2]
    assert detector.batches == [[5, 2]]
    with pytest.raises(ValueError, match='9 pixels'):
        detector([IMAGE, np.zeros((4, 9, 3), np.uint8)])


def test_whole_image():
    first, second = WholeImageDetector()([IMAGE, IMAGE[:2, :3]])
    np.testing.assert_array_equal(first.bboxes, [[0, 0, 5, 4]])
    np.testing.assert_array_equal(second.bboxes, [[0, 0, 3, 2]])
    np.testing.assert_array_equal(first.bbox_scores, [1])
