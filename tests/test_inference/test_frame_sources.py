# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest
from PIL import Image

from rmpe_plugin.inference import Frames, open_source
from tests.conftest import DATA
from tests.test_inference.videos import write_video

IMAGE = np.zeros((2, 3, 3), np.uint8)


class WrappedCapture:
    """A ``cv2.VideoCapture`` of which subclasses change single methods."""

    VideoCapture = cv2.VideoCapture

    def __init__(self, source):
        self.inner = self.VideoCapture(source)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def read(path):
    """Frames of a file that must agree with its timeline and have no errors."""
    frames = list(Frames(path))
    timeline = open_source(path).timeline()
    assert not timeline.errors
    assert [f.error for f in frames] == [''] * len(timeline.times)
    assert [f.image_id for f in frames] == [*range(len(frames))]
    np.testing.assert_allclose([f.time for f in frames], timeline.times, atol=1e-9)
    assert timeline.size == frames[0].image.shape[1::-1]
    return frames, timeline


def test_video_frames_have_indices_times_and_the_frame_rate(video):
    frames = Frames(video)
    assert frames.number == 10
    assert frames.ids == []
    frames, timeline = read(video)
    assert {f.video for f in frames} == {str(video)}
    assert {f.fps for f in frames} == {12.5}
    np.testing.assert_allclose(timeline.times, np.arange(10) / 12.5)
    assert timeline.fps == 12.5
    assert not timeline.is_variable
    for i, frame in enumerate(frames):
        assert abs(int(frame.image.mean()) - 20 * i) < 10


def test_undecodable_frames_are_reported_once_per_run(video, monkeypatch):
    class Broken(WrappedCapture):
        """Frames 3, 4 and 7 of ten cannot be decoded."""

        index = -1

        def grab(self):
            self.index += 1
            return self.inner.grab() and self.index not in (3, 4, 7)

    monkeypatch.setattr(cv2, 'VideoCapture', Broken)
    frames = list(Frames(video))
    assert [f.image_id for f in frames] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    failed = [f for f in frames if f.error]
    assert [f.image_id for f in failed] == [3, 7]
    assert '2 consecutive frames' in failed[0].error
    timeline = open_source(video).timeline()
    assert len(timeline.times) == 10
    assert len(timeline.errors) == 2


@pytest.mark.parametrize('count', [-3, 0, 4, 9, 11, 40])
def test_the_frame_count_of_the_header_is_not_used(video, monkeypatch, count):
    class Wrong(WrappedCapture):
        """The header has another frame count."""

        def get(self, prop):
            return count if prop == cv2.CAP_PROP_FRAME_COUNT else self.inner.get(prop)

    monkeypatch.setattr(cv2, 'VideoCapture', Wrong)
    assert Frames(video).number == (count if count > 0 else None)
    frames, _ = read(video)
    assert len(frames) == 10


def test_avi_with_more_frames_than_its_header_says(tmp_path):
    path = write_video(tmp_path / 'a.avi', 'XVID', number=50)
    content = path.read_bytes()
    header, body = content[:500], content[500:]
    assert header.count((50).to_bytes(4, 'little')) >= 2
    changed = header.replace((50).to_bytes(4, 'little'), (10).to_bytes(4, 'little'))
    path.write_bytes(changed + body)
    assert Frames(path).number == 10
    assert len(read(path)[0]) == 50


@pytest.mark.parametrize(
    ('name', 'number'),
    [('variable_rate.mkv', 40), ('trimmed.mp4', 37), ('resolution_change.ts', 20)],
)
def test_intact_videos_with_other_headers(name, number):
    frames, _ = read(DATA / 'videos' / name)
    assert Frames(DATA / 'videos' / name).number != number
    assert len(frames) == number


def test_variable_frame_rate():
    frames, timeline = read(DATA / 'videos' / 'variable_rate.mkv')
    assert timeline.is_variable
    assert timeline.fps == pytest.approx(39 / 3.92)
    steps = np.diff(timeline.times)
    assert steps.min() == pytest.approx(0.04)
    assert steps.max() > 0.2
    assert {f.fps for f in frames} == {25}


def test_joined_recordings_continue(tmp_path):
    path = write_video(tmp_path / 'a.ts', 'MPG2')
    path.write_bytes(2 * path.read_bytes())
    frames, timeline = read(path)
    assert len(frames) == 40
    assert (np.diff(timeline.times) > 0).all()
    assert timeline.times[-1] == pytest.approx(39 / 25, abs=0.1)


def test_rate_of_the_header_is_not_plausible(video, monkeypatch):
    class Browser(WrappedCapture):
        """A browser's recording, whose header has the resolution of its times."""

        def get(self, prop):
            return 1000.0 if prop == cv2.CAP_PROP_FPS else self.inner.get(prop)

    monkeypatch.setattr(cv2, 'VideoCapture', Browser)
    frames, timeline = read(video)
    assert frames[0].fps == pytest.approx(12.5)
    assert timeline.fps == pytest.approx(12.5)
    assert not timeline.is_variable


def test_rotated_video_has_the_size_of_its_frames(video, tmp_path):
    """The display matrix of MP4: a rotation by 90 degrees."""
    content = bytearray(video.read_bytes())
    matrix = content.index(b'tkhd') + 4 + 40
    one, minus = (
        (1 << 16).to_bytes(4, 'big'),
        (-1 << 16).to_bytes(4, 'big', signed=True),
    )
    content[matrix : matrix + 16] = bytes(4) + one + bytes(4) + minus
    path = tmp_path / 'a.mp4'
    path.write_bytes(content)
    assert read(path)[1].size == (48, 64)


ANIMATIONS = {
    'a.gif': {}, 'a.webp': dict(lossless=True), 'a.png': {}, 'a.apng': {},
    'a.avif': {},
}  # fmt: skip


@pytest.mark.parametrize('name', ANIMATIONS)
def test_animations_have_all_frames_and_their_times(tmp_path, name):
    path = tmp_path / name
    images = [Image.new('RGB', (64, 48), (60 * i,) * 3) for i in range(4)]
    settings = dict(ANIMATIONS[name], format='png') if 'png' in name else {}
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=[100, 40, 300, 80],
        **settings,
    )  # fmt: skip
    assert Frames(path).number == 4
    frames, timeline = read(path)
    np.testing.assert_allclose(timeline.times, [0, 0.1, 0.14, 0.44], atol=0.02)
    assert timeline.is_variable
    assert frames[0].fps == pytest.approx(25, abs=1)
    for i, frame in enumerate(frames):
        np.testing.assert_allclose(frame.image.mean(), 60 * i, atol=4)
        assert frame.video == str(path)


def test_pages_of_a_tiff_but_not_its_thumbnail(tmp_path):
    path = tmp_path / 'scan.tif'
    pages = [Image.new('RGB', (64, 48), (90 * i,) * 3) for i in range(2)]
    thumbnail = Image.new('RGB', (8, 6))
    thumbnail.encoderinfo = dict(tiffinfo={254: 1})
    pages[0].save(path, save_all=True, append_images=[pages[1], thumbnail])
    assert [f.image.mean() for f in Frames(path)] == [0, 90]
    pages[0].save(path, save_all=True, append_images=[thumbnail])
    (frame,) = Frames(path)
    assert frame.image_id == 'scan.tif'


def test_other_images_of_one_file_are_views(tmp_path):
    path = tmp_path / '7.mpo'
    Image.new('RGB', (64, 48)).save(
        path, 'MPO', save_all=True, append_images=[Image.new('RGB', (64, 48))]
    )
    assert [f.image_id for f in Frames(path)] == [7]


def test_truncated_animation_is_reported(tmp_path):
    path = tmp_path / 'a.gif'
    noise = np.random.default_rng(0).integers(0, 256, (4, 48, 64), dtype=np.uint8)
    first, *others = map(Image.fromarray, noise)
    first.save(path, save_all=True, append_images=others)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert [*Frames(path)][-1].error


def test_animation_in_memory_is_reported(tmp_path):
    path = tmp_path / 'a.gif'
    images = [Image.new('L', (64, 48), 60 * i) for i in range(3)]
    images[0].save(path, save_all=True, append_images=images[1:])
    with Image.open(path) as image:
        (frame,) = Frames([image])
    assert 'must not be an animation, got 3 frames' in frame.error


def test_files_without_a_known_name_are_opened_by_content(video, tmp_path):
    Image.new('RGB', (6, 4)).save(tmp_path / 'photo', 'PNG')
    (tmp_path / 'clip').write_bytes(video.read_bytes())
    assert [f.image_id for f in Frames(tmp_path / 'photo')] == ['photo']
    assert len(list(Frames(tmp_path / 'clip'))) == 10


def test_file_that_is_neither_image_nor_video_is_one_failure(tmp_path):
    (tmp_path / 'notes.txt').write_text('no video')
    frames = Frames(tmp_path / 'notes.txt')
    assert frames.number == 1
    (frame,) = frames
    assert 'cannot be read as an image or a video' in frame.error
    with pytest.raises(ValueError, match=r'notes\.txt cannot be read as a video'):
        open_source(tmp_path / 'notes.txt').timeline()


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

        def grab(self):
            self.remaining -= 1
            return self.remaining >= 0

        def retrieve(self):
            return True, IMAGE

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
