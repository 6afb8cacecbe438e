# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import Frame, Frames, ImageWriter

IMAGE = np.full((40, 60, 3), 128, np.uint8)


def test_images_keep_their_file_names(tmp_path):
    writer = ImageWriter(tmp_path / 'out')
    for name in ('a/x.png', 'array 0', 'y.unknown'):
        writer.write(Frame(0, name), IMAGE)
    names = ['x.png', 'array 0.jpg', 'y.unknown.jpg']
    assert [p.name for p in writer.written] == names
    for path in writer.written:
        assert cv2.imread(str(path)).shape == IMAGE.shape


def test_frames_of_a_video_are_written_to_a_video(tmp_path):
    writer = ImageWriter(tmp_path)
    for video in ('in/one.avi', 'two.mp4', 'webcam:0'):
        for i in range(3):
            frame = Frame(i, f'{video} frame {i}', video=video, fps=10)
            writer.write(frame, np.full((48, 64, 3), 80 * i, np.uint8))
    writer.close()
    names = ['one.mp4', 'two.mp4', 'webcam:0.mp4']
    assert [p.name for p in writer.written] == names
    for path in writer.written:
        read = list(Frames(path))
        assert [f.fps for f in read] == [10] * 3
        assert abs(read[2].image.mean() - 160) < 10


def test_webm_for_browsers(tmp_path):
    writer = ImageWriter(tmp_path, '.webm')
    for i in range(3):
        frame = Frame(i, f'a.mp4 frame {i}', video='a.mp4', fps=10)
        writer.write(frame, np.full((48, 64, 3), 80 * i, np.uint8))
    writer.close()
    (path,) = writer.written
    assert path.name == 'a.webm'
    codec = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC))
    assert codec.to_bytes(4, 'little') == b'VP80'
    assert abs([*Frames(path)][2].image.mean() - 160) < 10


@pytest.mark.parametrize(
    ('name', 'written'),
    [
        ('a.pgm', 'a.pgm.jpg'), ('a.pbm', 'a.pbm.jpg'), ('a.exr', 'a.exr.jpg'),
        ('a.heic', 'a.heic.jpg'), ('a.jfif', 'a.jfif.jpg'), ('a.psd', 'a.psd.jpg'),
        ('a.webp', 'a.webp'), ('a.avif', 'a.avif'), ('a.tif', 'a.tif'),
    ],
)  # fmt: skip
def test_formats_that_cannot_be_written(tmp_path, name, written):
    writer = ImageWriter(tmp_path)
    writer.write(Frame(0, name), IMAGE)
    assert [p.name for p in writer.written] == [written]
    assert cv2.imread(str(writer.written[0])).shape == IMAGE.shape


def test_image_that_is_too_large_for_its_format(tmp_path):
    writer = ImageWriter(tmp_path)
    writer.write(Frame(0, 'a.webp'), np.zeros((1, 17000, 3), np.uint8))
    assert [p.name for p in writer.written] == ['a.webp.jpg']


@pytest.mark.parametrize('size', [(161, 121), (160, 121), (161, 120), (1, 1), (3, 2)])
def test_odd_sizes_are_enlarged(tmp_path, size):
    width, height = size
    image = np.full((height, width, 3), 60, np.uint8)
    image[:, -1] = image[-1] = 200
    writer = ImageWriter(tmp_path)
    for i in range(3):
        writer.write(Frame(i, 'a', video='a.mp4', fps=10), image)
    writer.close()
    for frame in Frames(tmp_path / 'a.mp4'):
        assert frame.image.shape == (height + height % 2, width + width % 2, 3)
        assert abs(int(frame.image[height - 1 :, width - 1 :].mean()) - 200) < 30


def test_frames_are_repeated_until_the_time_of_the_next(tmp_path):
    times = [2, 2.1, 2.5, 2.6, 3.5]
    writer = ImageWriter(tmp_path)
    for i, time in enumerate(times):
        image = np.full((48, 64, 3), 50 * i, np.uint8)
        writer.write(Frame(i, 'a', video='a.mkv', fps=10, time=time), image)
    writer.close()
    levels = [round(f.image.mean() / 50) for f in Frames(tmp_path / 'a.mp4')]
    assert levels == [0, 1, 1, 1, 1, 2, *[3] * 9, 4]


def test_frames_closer_than_the_frame_rate_are_all_written(tmp_path):
    writer = ImageWriter(tmp_path)
    for i, time in enumerate([0, 0.01, 0.02, 1]):
        image = np.full((48, 64, 3), 50 * i, np.uint8)
        writer.write(Frame(i, 'a', video='a.mkv', fps=10, time=time), image)
    writer.close()
    levels = [round(f.image.mean() / 50) for f in Frames(tmp_path / 'a.mp4')]
    assert levels == [0, 1, *[2] * 8, 3]


def test_frames_of_another_size_are_scaled(tmp_path):
    writer = ImageWriter(tmp_path)
    for i, shape in enumerate([(48, 64, 3), (100, 90, 3)]):
        image = np.full(shape, 128, np.uint8)
        writer.write(Frame(i, 'a', video='a.tif'), image)
    writer.close()
    shapes = [f.image.shape for f in Frames(tmp_path / 'a.mp4')]
    assert shapes == [(48, 64, 3)] * 2


def test_raises_if_a_file_cannot_be_written(tmp_path):
    writer = ImageWriter(tmp_path / 'out')
    (tmp_path / 'out').rmdir()
    with pytest.raises(OSError, match='could not write'):
        writer.write(Frame(0, 'x.png'), IMAGE)
    with pytest.raises(OSError, match='could not write'):
        writer.write(Frame(0, 'x', video='x.mp4', fps=9), IMAGE)
