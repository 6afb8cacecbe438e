# SPDX-License-Identifier: Apache-2.0
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
    assert np.isnan(walk[1]).all()
    assert metadata['video_metadata'] == {'walk': dict(w=64, h=48, fps=12.5)}
    assert metadata['missing_frames'] == 'nan'


def test_undecodable_frames_are_missing(tmp_path, coco_meta):
    exporter = LiftingExporter(tmp_path, 'mmpose', coco_meta, 'h36m')
    exporter.add(frame(0), random_poses(1))
    exporter.add(frame(1, image=None), random_poses(0))  # frames 1 to 3
    exporter.add(frame(4), random_poses(1))
    (path,) = exporter.write()
    missing = np.isnan(np.load(path)).any(axis=(1, 2))
    assert missing.tolist() == [False, True, True, True, False]


def test_errors(tmp_path, coco_meta):
    with pytest.raises(ValueError, match="keypoints of coco or h36m, .* of 'mpii'"):
        LiftingExporter(tmp_path, 'mmpose', dict(coco_meta, dataset_name='mpii'))
    exporter = LiftingExporter(tmp_path, 'mmpose', coco_meta)
    exporter.add(frame(0), random_poses(0))
    with pytest.raises(ValueError, match='no person was detected in 1 frames of walk'):
        exporter.write()
    (tmp_path / 'walk.npy').write_bytes(b'')
    with pytest.raises(FileExistsError, match='walk.npy exists'):
        LiftingExporter(tmp_path, 'mmpose', coco_meta).add(frame(0), random_poses(1))
