# SPDX-License-Identifier: Apache-2.0
"""The files as VideoPose3D and MMPose read them."""

from dataclasses import replace

import numpy as np
import pytest

from rmpe_plugin.lifting import Clip, write_poses
from tests.test_lifting.factories import clip, random_sequence


def load(path):
    """Arrays of a VideoPose3D file."""
    return np.load(path, allow_pickle=True)


def read_detections(path):
    """Keypoints (F, 17, 2) and size, by the rules of prepare_data_2d_custom.py."""
    data = load(path)
    poses = []
    for boxes, keypoints in zip(data['boxes'], data['keypoints'], strict=True):
        if len(boxes[1]) == 0:
            poses.append(np.full((17, 2), np.nan))
        else:
            best = boxes[1][:, 4].argmax()
            poses.append(keypoints[1][best].T[:, :2])
    size = data['metadata'].item()
    return np.array(poses), (size['w'], size['h'])


def test_detections(tmp_path):
    sequence = random_sequence()
    path = tmp_path / 'walk.npz'
    write_poses(path, 'videopose3d-detections', [(clip(), sequence)], 'coco')
    keypoints, size = read_detections(path)
    np.testing.assert_array_equal(keypoints, sequence.keypoints)
    assert size == (320, 240)
    data = load(path)
    assert [segment is None for segment in data['segments']] == [True] * 12
    rows = data['keypoints'][1][1]
    assert rows.shape == (1, 4, 17)
    np.testing.assert_array_equal(rows[0, 2], 0)
    np.testing.assert_array_equal(rows[0, 3], sequence.scores[1])
    np.testing.assert_array_equal(data['boxes'][1][1], sequence.bboxes[1:2])


@pytest.mark.parametrize('missing', ['nan', 'interpolate'])
def test_custom_data_set(tmp_path, missing):
    sequence = random_sequence()
    path = tmp_path / 'data_2d_custom_walk.npz'
    write_poses(path, 'videopose3d', [(clip(), sequence)], 'coco', missing)
    data = load(path)
    (positions,) = data['positions_2d'].item()['walk']['custom']
    expected = sequence if missing == 'nan' else sequence.interpolated()
    np.testing.assert_array_equal(positions, expected.keypoints)
    assert positions.dtype == np.float32
    metadata = data['metadata'].item()
    assert metadata['layout_name'] == 'coco'
    assert metadata['num_joints'] == 17
    assert metadata['missing_frames'] == missing
    assert metadata['video_metadata']['walk'] == dict(w=320, h=240, fps=25.0)
    left, right = metadata['keypoints_symmetry']
    assert left == [1, 3, 5, 7, 9, 11, 13, 15]
    assert right == [2, 4, 6, 8, 10, 12, 14, 16]


def test_human36m_is_grouped_by_subject_action_and_camera(tmp_path):
    names = [
        ('S1', 'TakingPhoto_1', '60457274'),
        ('S1', 'TakingPhoto_1', '54138969'),
        ('S5', 'Eating', '54138969'),
        ('S5', 'Eating', '60457274'),
        ('S11', 'Directions', '54138969'),
    ]
    videos = [
        (
            replace(clip('{}_{}.{}'.format(*name), start=12 * i), h36m=name),
            random_sequence(missing=(), seed=i),
        )
        for i, name in enumerate(names)
    ]
    path = tmp_path / 'data_2d_h36m_cpn.npz'
    write_poses(path, 'videopose3d', videos, 'h36m')
    data = load(path)
    positions = data['positions_2d'].item()
    assert positions.keys() == {'S1', 'S5'}
    # VideoPose3D's name
    first, second = positions['S1']['Photo 1']
    # Cameras in the order of their names
    np.testing.assert_array_equal(first, videos[1][1].converted('h36m').keypoints)
    np.testing.assert_array_equal(second, videos[0][1].converted('h36m').keypoints)
    assert len(positions['S5']['Eating']) == 2
    assert data['metadata'].item()['keypoints_symmetry'] == [
        [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]
    ]  # fmt: skip


def test_raises_if_a_camera_is_missing(tmp_path):
    names = [('S1', 'Eating', 'a'), ('S1', 'Eating', 'b'), ('S5', 'Eating', 'b')]
    videos = [
        (replace(clip(str(name)), h36m=name), random_sequence()) for name in names
    ]
    with pytest.raises(ValueError, match=r"S5, Eating: .* \['a', 'b'\].* got \['b'\]"):
        write_poses(tmp_path / 'a.npz', 'videopose3d', videos, 'h36m')


def test_mmpose_is_in_the_order_of_the_annotations(tmp_path):
    rows = [tuple(range(start, 24, 2)) for start in (0, 1)]
    even, odd = (
        (Clip('walk', (), numbers, (320, 240)), random_sequence(seed=numbers[0]))
        for numbers in rows
    )
    path = tmp_path / 'cpn.npy'
    write_poses(path, 'mmpose', [odd, even], 'coco', 'interpolate')
    poses = np.load(path)
    assert poses.shape == (24, 17, 3)
    assert poses.dtype == np.float32
    for (_, sequence), start in ((even, 0), (odd, 1)):
        filled = sequence.interpolated()
        np.testing.assert_array_equal(poses[start::2, :, :2], filled.keypoints)
        np.testing.assert_array_equal(poses[start::2, :, 2], filled.scores)


@pytest.mark.parametrize(('form', 'channels'), [('mhformer', 2), ('motionagformer', 3)])
def test_keypoints_of_demos(tmp_path, form, channels):
    sequence = random_sequence()
    path = tmp_path / 'keypoints.npz'
    write_poses(path, form, [(clip(), sequence)], 'h36m', 'interpolate')
    poses = np.load(path)['reconstruction']
    assert poses.shape == (1, 12, 17, channels)
    expected = sequence.converted('h36m').interpolated()
    np.testing.assert_array_equal(poses[0, ..., :2], expected.keypoints)
    if channels == 3:
        np.testing.assert_array_equal(poses[0, ..., 2], expected.scores)
    with pytest.raises(ValueError, match="has the layout 'h36m', got 'coco'"):
        write_poses(tmp_path / 'b.npz', form, [(clip(), sequence)], 'coco')
    with pytest.raises(ValueError, match='poses of one video, got 2'):
        write_poses(tmp_path / 'b.npz', form, [(clip(), sequence)] * 2, 'h36m')


def test_errors(tmp_path):
    videos = [(clip(), random_sequence())]
    existing = tmp_path / 'a.npz'
    existing.write_bytes(b'')
    with pytest.raises(FileExistsError, match=r'a.npz exists'):
        write_poses(existing, 'videopose3d', videos, 'coco')
    with pytest.raises(ValueError, match=r'ends in .npy, got .*b.npz'):
        write_poses(tmp_path / 'b.npz', 'mmpose', videos, 'coco')
    with pytest.raises(ValueError, match="format must be one of .*got 'csv'"):
        write_poses(tmp_path / 'b.csv', 'csv', videos, 'coco')
    with pytest.raises(ValueError, match="missing must be one of .*got 'zero'"):
        write_poses(tmp_path / 'b.npy', 'mmpose', videos, 'coco', 'zero')
    with pytest.raises(ValueError, match='detections of one video, got 2'):
        write_poses(tmp_path / 'b.npz', 'videopose3d-detections', videos * 2, 'coco')
    assert sorted(tmp_path.iterdir()) == [existing]
