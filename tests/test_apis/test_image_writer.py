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


def test_raises_if_a_file_cannot_be_written(tmp_path):
    writer = ImageWriter(tmp_path / 'out')
    (tmp_path / 'out').rmdir()
    with pytest.raises(OSError, match='could not write'):
        writer.write(Frame(0, 'x.png'), IMAGE)
    with pytest.raises(OSError, match='could not write'):
        writer.write(Frame(0, 'x', video='x.mp4', fps=9), IMAGE)
