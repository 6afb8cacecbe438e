# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from mmengine.fileio import load
from mmpose.datasets.datasets import Human36mDataset

from rmpe_plugin.datasets.synthetic import Camera, render_motion, write_videos
from rmpe_plugin.datasets.synthetic.body import H36M_JOINTS
from rmpe_plugin.datasets.synthetic.motion import HEIGHT
from rmpe_plugin.lifting import coco_to_h36m

CAMERA = Camera((160, 120), 150.0)


@pytest.fixture(scope='module')
def frames():
    return list(render_motion(np.random.default_rng(0), CAMERA, 60))


def test_joints_are_projected_by_the_camera(frames):
    for frame in frames:
        x, y, z = frame.joints.T
        np.testing.assert_allclose(frame.joint_pixels[:, 0], 150 * x / z + 80)
        np.testing.assert_allclose(frame.joint_pixels[:, 1], 150 * y / z + 60)
        assert z.min() > 1
        # The spine is straight, but the projection of a centre is not the centre.
        joints, _ = coco_to_h36m(frame.keypoints, np.ones(17))
        others = [i for i, name in enumerate(H36M_JOINTS) if name != 'head']
        np.testing.assert_allclose(joints[others], frame.joint_pixels[others], atol=1.5)


def test_bones_keep_their_length_and_motion_is_smooth(frames):
    joints = np.stack([frame.joints for frame in frames])
    for start, end in (('left_hip', 'left_knee'), ('right_elbow', 'right_wrist')):
        i, j = H36M_JOINTS.index(start), H36M_JOINTS.index(end)
        lengths = np.linalg.norm(joints[:, i] - joints[:, j], axis=-1)
        np.testing.assert_allclose(lengths, lengths[0])
        assert 0.1 * HEIGHT < lengths[0] < 0.3 * HEIGHT
    relative = joints - joints[:, :1]
    assert np.abs(np.diff(relative, axis=0)).max() < 0.15
    assert np.abs(relative[0] - relative[-1]).max() > 0.05


def test_images_show_the_body(frames):
    assert frames[0].image.shape == (120, 160, 3)
    difference = np.abs(frames[0].image.astype(float) - frames[-1].image).mean(axis=2)
    assert (difference > 10).mean() > 0.02
    # The background and the noise do not move.
    assert np.median(difference) == 0


def test_files_are_those_of_human36m(tmp_path):
    videos = write_videos(tmp_path, dict(train=2, test=1), 8, (160, 120), seed=3)
    assert [v.name for v in videos] == [f'S{i}_Motion.1.mp4' for i in (1, 2, 3)]
    capture = cv2.VideoCapture(str(videos[0]))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert capture.get(cv2.CAP_PROP_FPS) == 25

    folder = tmp_path / 'annotation_body3d'
    settings = dict(
        ann_file=str(folder / 'h36m_train.npz'),
        camera_param_file=str(folder / 'cameras.pkl'),
        seq_len=3,
        causal=False,
        pad_video_seq=True,
        data_root=str(tmp_path),
    )
    dataset = Human36mDataset(**settings)
    assert len(dataset) == 16
    sample = dataset[5]
    camera = load(folder / 'cameras.pkl')['S1', '1']
    joints = sample['lifting_target'][0]
    pixels = joints[:, :2] / joints[:, 2:] * camera['f'].T + camera['c'].T
    np.testing.assert_allclose(sample['keypoints'][1], pixels, atol=1e-3)
    assert sample['target_img_path'] == ['S1_Motion.1_000006.jpg']


def test_same_seed_gives_the_same_files(tmp_path):
    for name in 'ab':
        write_videos(tmp_path / name, dict(train=1), 4, (160, 120), seed=1)
    first, second = (
        np.load(tmp_path / n / 'annotation_body3d/h36m_train.npz') for n in 'ab'
    )
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
