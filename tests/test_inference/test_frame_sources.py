# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import Frames

IMAGE = np.zeros((2, 3, 3), np.uint8)


class WrappedCapture:
    """A ``cv2.VideoCapture`` of which subclasses change single methods."""

    VideoCapture = cv2.VideoCapture

    def __init__(self, source):
        self.inner = self.VideoCapture(source)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def test_video_frames_have_indices_and_the_frame_rate(video):
    frames = Frames(video)
    assert frames.number == 10
    assert frames.ids == []
    read = list(frames)
    assert [f.image_id for f in read] == list(range(10))
    assert {f.video for f in read} == {str(video)}
    assert {f.fps for f in read} == {12.5}
    for i, frame in enumerate(read):
        assert abs(int(frame.image.mean()) - 20 * i) < 10


def test_undecodable_frames_are_reported_once_per_run(video, monkeypatch):
    class Broken(WrappedCapture):
        """Frames 3, 4 and the last three of ten cannot be decoded."""

        index = -1

        def read(self):
            self.index += 1
            success, image = self.inner.read()
            failed = self.index in (3, 4, 7, 8, 9)
            return (False, None) if failed else (success, image)

    monkeypatch.setattr(cv2, 'VideoCapture', Broken)
    frames = list(Frames(video))
    assert [f.image_id for f in frames] == [0, 1, 2, 3, 5, 6, 7]
    failed = [f for f in frames if f.error]
    assert [f.image_id for f in failed] == [3, 7]
    assert '2 consecutive frames' in failed[0].error
    assert '3 consecutive frames' in failed[1].error


@pytest.mark.parametrize(('missing', 'failures'), [(1, 0), (2, 1)])
def test_frame_count_of_the_header_may_be_too_high_by_one(
    video, monkeypatch, missing, failures
):
    class Longer(WrappedCapture):
        """The header's frame count is too high."""

        def get(self, prop):
            more = missing if prop == cv2.CAP_PROP_FRAME_COUNT else 0
            return self.inner.get(prop) + more

    monkeypatch.setattr(cv2, 'VideoCapture', Longer)
    frames = list(Frames(video))
    assert len(frames) == 10 + failures
    assert sum(bool(f.error) for f in frames) == failures


def test_file_that_is_neither_image_nor_video_is_one_failure(tmp_path):
    (tmp_path / 'notes.txt').write_text('no video')
    frames = Frames(tmp_path / 'notes.txt')
    assert frames.number == 1
    (frame,) = frames
    assert 'cannot be read as an image or a video' in frame.error


def test_camera_is_read_until_it_gives_no_image(monkeypatch):
    opened = []

    class Camera:
        def __init__(self, source):
            opened.append(source)
            self.remaining = 3

        def isOpened(self):  # noqa: N802
            return True

        def get(self, prop):
            return 0.0

        def read(self):
            self.remaining -= 1
            return self.remaining >= 0, IMAGE

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    frames = Frames('webcam:1')
    assert frames.number is None
    read = list(frames)
    # A camera cannot be opened twice.
    assert opened == [1]
    assert [bool(f.error) for f in read] == [False, False, False]
    assert [f.image_id for f in read] == [0, 1, 2]
    Frames('webcam')
    with pytest.raises(ValueError, match="'webcam:INDEX', got 'webcam:front'"):
        Frames('webcam:front')
