# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from rmpe_plugin.apis import Frame, LiftingExporter
from tests.test_apis.conftest import random_poses

IMAGE = np.zeros((48, 64, 3), np.uint8)


def frame(index, video='walk.mp4', image=IMAGE):
    return Frame(index, f'{video} frame {index}', image, video=video, fps=12.5)


def read(path):
    content = np.load(path, allow_pickle=True)
    return content['positions_2d'].item(), content['metadata'].item()


def test_one_file_for_each_video(tmp_path, coco_meta):
    exporter = LiftingExporter(tmp_path, 'videopose3d', coco_meta)
    for index, number in enumerate((1, 0, 2)):
        exporter.add(frame(index), random_poses(number))
    exporter.add(frame('run/0', 'run.mp4'), random_poses(1))
    exporter.add(Frame(7, 'image.jpg', IMAGE), random_poses(1))
    written = exporter.write()
    assert [path.name for path in written] == [
        'data_2d_custom_walk.npz', 'data_2d_custom_run.npz'
    ]  # fmt: skip
    positions, metadata = read(written[0])
    (walk,) = positions['walk']['custom']
    expected = random_poses(2).pred_instances.keypoints[0]
    np.testing.assert_allclose(walk[2], expected, rtol=1e-6)
    np.testing.assert_allclose(walk[1], (walk[0] + walk[2]) / 2, rtol=1e-5)
    assert exporter.interpolated == 1
    assert metadata['video_metadata'] == {'walk': dict(w=64, h=48, fps=12.5)}
    assert metadata['missing_frames'] == 'interpolate'


def test_undecodable_frames_are_missing(tmp_path, coco_meta):
    exporter = LiftingExporter(tmp_path, 'mmpose', coco_meta, 'h36m')
    exporter.add(frame(0), random_poses(1))
    exporter.add(frame(1, image=None), random_poses(0))  # frames 1 to 3
    exporter.add(frame(4), random_poses(1))
    (path,) = exporter.write()
    poses = np.load(path)
    assert len(poses) == 5
    assert exporter.interpolated == 3
    np.testing.assert_allclose(poses[2], (poses[0] + poses[4]) / 2, rtol=1e-5)


def test_errors(tmp_path, coco_meta):
    with pytest.raises(ValueError, match="keypoints of coco or h36m, .* of 'mpii'"):
        LiftingExporter(tmp_path, 'mmpose', dict(coco_meta, dataset_name='mpii'))
    with pytest.raises(ValueError, match="mhformer has the layout 'h36m', got 'coco'"):
        LiftingExporter(tmp_path, 'mhformer', coco_meta, 'coco')
    exporter = LiftingExporter(tmp_path, 'mmpose', coco_meta)
    exporter.add(frame(0), random_poses(0))
    exporter.add(frame('run/0', 'run.mp4'), random_poses(1))
    with pytest.raises(ValueError, match='no person was detected in 1 frames of walk'):
        exporter.write()
    # The other video is written.
    assert (tmp_path / 'run.npy').is_file()
    with pytest.raises(FileExistsError, match='run.npy exists'):
        exporter.check([Path('videos/run.mp4')])
