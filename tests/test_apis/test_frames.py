# SPDX-License-Identifier: Apache-2.0
import shutil

import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import Frames
from rmpe_plugin.apis.frames import to_bgr

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.dstack((GREY, GREY + 50, GREY + 100))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Ten frames, each brighter than the one before."""
    path = tmp_path_factory.mktemp('video') / 'walk.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 12.5, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def save(path, image):
    assert cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize(
    'image', [GREY, GREY[..., None], COLOUR, np.dstack((COLOUR, GREY))]
)
def test_every_kind_of_array_becomes_bgr(image):
    found = to_bgr(image)
    assert found.shape == (2, 3, 3)
    assert found.dtype == np.uint8
    expected = (
        COLOUR if image.ndim == 3 and image.shape[-1] > 1 else np.dstack([GREY] * 3)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (GREY.astype(float), 'got float64'),
        (np.zeros((2, 3, 2), np.uint8), r'\(2, 3, 2\)'),
        (np.zeros((2, 3, 3, 3), np.uint8), r'\(2, 3, 3, 3\)'),
        (np.zeros((0, 3, 3), np.uint8), 'must have pixels'),
    ],
)
def test_other_arrays_are_reported_and_the_rest_is_read(image, message):
    with pytest.raises(ValueError, match=message):
        to_bgr(image)
    frames = list(Frames([COLOUR, image, GREY]))
    assert [bool(f.error) for f in frames] == [False, True, False]
    assert frames[1].image is None
    assert [f.image_id for f in frames] == [0, 1, 2]


def test_pictures_as_opencv_reads_them(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    shapes = {'c.png': image, 'g.png': image[..., 0], 'j.jpg': image}
    for name, array in shapes.items():
        save(tmp_path / name, array)
    for name in shapes:
        (frame,) = Frames(tmp_path / name)
        np.testing.assert_array_equal(frame.image, cv2.imread(str(tmp_path / name)))
        assert frame.image_id == name
        assert frame.video == ''


def test_alpha_and_one_pixel_and_palette(tmp_path):
    save(tmp_path / 'alpha.png', np.full((5, 6, 4), 200, np.uint8))
    save(tmp_path / 'dot.png', np.full((1, 1, 3), 9, np.uint8))
    frames = list(Frames(tmp_path))
    assert [f.image.shape for f in frames] == [(5, 6, 3), (1, 1, 3)]


def test_what_cannot_be_read_is_reported_and_the_rest_is_read(tmp_path):
    good = save(tmp_path / '3.jpg', np.full((200, 200, 3), 99, np.uint8))
    (tmp_path / '1.jpg').write_bytes(b'not a picture')
    (tmp_path / '2.jpg').write_bytes(good.read_bytes()[:700])
    (tmp_path / '4.png').write_bytes(b'')
    frames = list(Frames(tmp_path))
    assert [f.image_id for f in frames] == [1, 2, 3, 4]
    assert [bool(f.error) for f in frames] == [True, True, False, True]
    assert 'truncated' in frames[1].error
    assert all(f.name.endswith(('.jpg', '.png')) for f in frames)


def test_folders_and_globs(tmp_path):
    for name in ('b.png', 'a.jpg', 'c.bmp'):
        save(tmp_path / name, COLOUR)
    (tmp_path / 'notes.txt').write_text('no picture')
    (tmp_path / 'deeper').mkdir()
    save(tmp_path / 'deeper' / 'd.png', COLOUR)
    assert [f.image_id for f in Frames(tmp_path)] == ['a.jpg', 'b.png', 'c.bmp']
    assert [f.image_id for f in Frames(f'{tmp_path}/*.png')] == ['b.png']
    deep = Frames(f'{tmp_path}/**/*.png')
    assert deep.ids == ['b.png', 'd.png']
    assert deep.number == 2


def test_ids_are_those_of_coco(tmp_path):
    for name in ('000000000785.jpg', '12.png', '1a.png'):
        save(tmp_path / name, COLOUR)
    assert Frames(tmp_path).ids == [785, 12, '1a.png']
    save(tmp_path / '785.png', COLOUR)
    with pytest.raises(ValueError, match='the same image id in results: 785'):
        Frames(tmp_path)


def test_what_does_not_exist_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match='no.jpg does not exist'):
        Frames([GREY, tmp_path / 'no.jpg'])
    with pytest.raises(FileNotFoundError, match='no pictures and no videos'):
        Frames(tmp_path)
    with pytest.raises(FileNotFoundError, match='no pictures and no videos'):
        Frames(f'{tmp_path}/*.png')


def test_video(video):
    frames = Frames(video)
    assert frames.number == 10
    assert frames.ids == []
    read = list(frames)
    assert [f.image_id for f in read] == list(range(10))
    assert {f.video for f in read} == {str(video)}
    assert {f.fps for f in read} == {12.5}
    for i, frame in enumerate(read):
        assert abs(int(frame.image.mean()) - 20 * i) < 10


def test_frames_of_a_video_among_others_have_its_name(video, tmp_path):
    picture = save(tmp_path / '5.png', COLOUR)
    assert Frames([video, picture, COLOUR, 'webcam']).paths == [video, picture]
    frames = list(Frames([video, picture]))
    assert [f.image_id for f in frames] == [*(f'walk/{i}' for i in range(10)), 5]
    shutil.copy(video, tmp_path)
    with pytest.raises(ValueError, match='the same image id in results: walk'):
        Frames([video, tmp_path])


def test_a_video_that_breaks_off_is_read_as_far_as_it_goes(
    video, tmp_path, monkeypatch
):
    class Broken:
        """Two of ten frames in the middle and the last three cannot be decoded."""

        def __init__(self, source):
            self.inner, self.index = Capture(source), -1

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def read(self):
            self.index += 1
            good, image = self.inner.read()
            return (False, None) if self.index in (3, 4, 7, 8, 9) else (good, image)

    Capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, 'VideoCapture', Broken)
    frames = list(Frames(video))
    assert [f.image_id for f in frames] == [0, 1, 2, 3, 5, 6, 7]
    bad = [f for f in frames if f.error]
    assert [f.image_id for f in bad] == [3, 7]
    assert '2 frames in a row' in bad[0].error
    assert '3 frames in a row' in bad[1].error


def test_a_file_of_something_else_is_one_failure(tmp_path):
    (tmp_path / 'notes.txt').write_text('no video')
    frames = Frames(tmp_path / 'notes.txt')
    assert frames.number == 1
    (frame,) = frames
    assert 'neither a picture nor a video' in frame.error


def test_camera_until_it_is_gone(monkeypatch):
    opened = []

    class Camera:
        def __init__(self, source):
            opened.append(source)
            self.left = 3

        def isOpened(self):  # noqa: N802
            return True

        def get(self, what):
            return 0.0

        def read(self):
            self.left -= 1
            return self.left >= 0, COLOUR

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    frames = Frames('webcam:1')
    assert frames.number is None
    read = list(frames)
    # a camera can be opened once at a time
    assert opened == [1]
    assert [bool(f.error) for f in read] == [False, False, False]
    assert [f.image_id for f in read] == [0, 1, 2]
    Frames('webcam')


@pytest.mark.parametrize(('missing', 'failures'), [(1, 0), (2, 1)])
def test_a_header_may_be_wrong_by_one(video, monkeypatch, missing, failures):
    class Longer:
        """Promises more frames than there are."""

        def __init__(self, source):
            self.inner = Capture(source)

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def get(self, what):
            more = missing if what == cv2.CAP_PROP_FRAME_COUNT else 0
            return self.inner.get(what) + more

    Capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, 'VideoCapture', Longer)
    frames = list(Frames(video))
    assert len(frames) == 10 + failures
    assert sum(bool(f.error) for f in frames) == failures
