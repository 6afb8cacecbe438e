# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.apis import Frame, MotWriter
from tests.test_apis.conftest import random_poses

IMAGE = np.zeros((40, 60, 3), np.uint8)


def tracked(*ids):
    poses = random_poses(len(ids))
    poses.pred_instances.track_ids = np.array(ids, int)
    return poses


def video_frame(index, video, prefix=''):
    return Frame(f'{prefix}{index}' if prefix else index, 'x', IMAGE, video=video)


def test_lines_are_those_of_mot_challenge(tmp_path):
    writer = MotWriter(tmp_path / 'mot')
    writer.write(video_frame(0, 'a/walk.mp4'), tracked(2, -1, 1))
    writer.write(video_frame(3, 'a/walk.mp4'), tracked(2))
    writer.write(video_frame(0, 'run.avi', 'run/'), tracked())
    writer.write(video_frame(11, 'run.avi', 'run/'), tracked(7))
    writer.close()
    assert (tmp_path / 'mot/walk.txt').read_text() == (
        '1,2,4,5,46,30,0.5,-1,-1,-1\n'
        '1,1,4,5,46,30,0.5,-1,-1,-1\n'
        '4,2,4,5,46,30,0.5,-1,-1,-1\n'
    )
    assert (tmp_path / 'mot/run.txt').read_text() == '12,7,4,5,46,30,0.5,-1,-1,-1\n'
    assert len(list((tmp_path / 'mot').iterdir())) == 2


def test_frames_of_images_are_their_numbers_or_their_count(tmp_path):
    writer = MotWriter(tmp_path)
    for number in (3, 7):
        frame = Frame(number, f'{tmp_path}/seq.1/{number:06}.jpg', IMAGE)
        writer.write(frame, tracked(1))
    for name in ('a.jpg', 'b.jpg'):
        writer.write(Frame(name, f'{tmp_path}/other/{name}', IMAGE), tracked(1))
    writer.close()
    frames = {
        path.name: [line.split(',')[0] for line in path.read_text().splitlines()]
        for path in tmp_path.iterdir()
    }
    assert frames == {'seq.1.txt': ['3', '7'], 'other.txt': ['1', '2']}


def test_numbers_of_images_increase(tmp_path):
    writer = MotWriter(tmp_path)
    for image_id in (2, 'a', 'broken', 'c', 9):
        name = f'{tmp_path}/seq/{image_id}.jpg'
        if image_id == 'broken':
            writer.skip(Frame(image_id, name, error='truncated'))
        else:
            writer.write(Frame(image_id, name, IMAGE), tracked(1))
    writer.skip(Frame('v/0', 'v.mp4', error='truncated', video='v.mp4'))
    writer.close()
    (path,) = tmp_path.iterdir()
    numbers = [int(line.split(',')[0]) for line in path.read_text().splitlines()]
    assert numbers == [2, 3, 5, 9]


def test_two_videos_of_the_same_name(tmp_path):
    writer = MotWriter(tmp_path)
    writer.write(video_frame(0, 'a/walk.mp4'), tracked(1))
    for index in range(2):
        with pytest.raises(OSError, match=r'walk\.txt is the file of another video'):
            writer.write(video_frame(index, 'b/walk.avi'), tracked(1))
    writer.write(video_frame(0, 'c/run.mp4'), tracked(1))
    writer.close()
    assert len((tmp_path / 'walk.txt').read_text().splitlines()) == 1
    assert (tmp_path / 'run.txt').exists()
