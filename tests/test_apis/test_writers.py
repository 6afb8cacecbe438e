# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from rmpe_plugin.apis import (
    Artist,
    Frame,
    Frames,
    JsonList,
    PictureWriter,
    alphapose_records,
)
from rmpe_plugin.structures import person_scores

IMAGE = np.full((40, 60, 3), 128, np.uint8)


def poses(number, score=0.9):
    rng = np.random.default_rng(number)
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        keypoints=rng.uniform(5, 35, (number, 17, 2)),
        keypoint_scores=np.full((number, 17), 0.8),
        keypoints_visible=np.full((number, 17), 0.8),
        bboxes=np.tile([4.0, 5, 50, 35], (number, 1)),
        bbox_scores=np.full(number, 0.5),
        scores=np.full(number, score),
    )
    return sample


@pytest.fixture(scope='module')
def meta():
    return parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))


@pytest.mark.parametrize('number', [0, 1, 3])
def test_json_grows_and_has_its_name_when_it_is_whole(tmp_path, number):
    path = tmp_path / 'new' / 'results.json'
    with JsonList(path) as written:
        for i in range(number):
            written.extend([dict(i=i)])
            assert not path.exists()
    assert json.loads(path.read_text()) == [dict(i=i) for i in range(number)]
    assert [p.name for p in path.parent.iterdir()] == ['results.json']


def test_what_was_found_before_an_error_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), JsonList(tmp_path / 'x.json') as written:
        written.extend([dict(a=1)])
        raise KeyboardInterrupt
    assert json.loads((tmp_path / 'x.json').read_text()) == [dict(a=1)]


def test_alphaposes_form():
    sample = poses(2)
    records = alphapose_records(Frame(785, 'a/b/785.jpg', IMAGE), sample)
    assert [set(r) for r in records] == [
        {'image_id', 'category_id', 'keypoints', 'score', 'box', 'idx'}
    ] * 2
    assert records[0]['image_id'] == '785.jpg'
    assert records[0]['box'] == [4.0, 5.0, 46.0, 30.0]
    assert len(records[0]['keypoints']) == 51
    expected = person_scores(sample.pred_instances, 'alphapose')
    np.testing.assert_allclose([r['score'] for r in records], expected)
    of_video = Frame(3, 'walk.mp4 frame 3', IMAGE, video='walk.mp4', fps=25)
    assert alphapose_records(of_video, sample)[0]['image_id'] == '3.jpg'
    assert alphapose_records(of_video, poses(0)) == []


@pytest.mark.parametrize('shape', [(40, 60), (1, 1), (3000, 4000)])
def test_draws_on_any_size(meta, shape):
    image = np.full((*shape, 3), 128, np.uint8)
    before = image.copy()
    drawn = Artist(meta).draw(image, poses(2))
    assert drawn.shape == image.shape
    np.testing.assert_array_equal(image, before)
    assert shape == (1, 1) or (drawn != image).any()
    nobody = Artist(meta).draw(image, poses(0))
    np.testing.assert_array_equal(nobody, image)


def test_who_scores_little_is_not_drawn(meta):
    artist = Artist(meta, score_thr=0.95)
    np.testing.assert_array_equal(artist.draw(IMAGE, poses(1)), IMAGE)
    keypoints_alone = Artist(meta, kpt_thr=0.3).draw(IMAGE, poses(1))
    boxes_alone = Artist(meta, kpt_thr=0.85).draw(IMAGE, poses(1))
    assert (keypoints_alone != boxes_alone).any()


def test_pictures_keep_their_names(tmp_path):
    writer = PictureWriter(tmp_path / 'out')
    for name in ('a/x.png', 'array 0', 'y.unknown'):
        writer.write(Frame(0, name), IMAGE)
    names = ['x.png', 'array 0.jpg', 'y.unknown.jpg']
    assert [p.name for p in writer.written] == names
    for path in writer.written:
        assert cv2.imread(str(path)).shape == IMAGE.shape


def test_frames_of_videos_become_videos(tmp_path):
    writer = PictureWriter(tmp_path)
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


def test_a_folder_that_is_gone_is_an_error(tmp_path):
    writer = PictureWriter(tmp_path / 'out')
    (tmp_path / 'out').rmdir()
    with pytest.raises(OSError, match='could not write'):
        writer.write(Frame(0, 'x.png'), IMAGE)
    with pytest.raises(OSError, match='could not write'):
        writer.write(Frame(0, 'x', video='x.mp4', fps=9), IMAGE)
