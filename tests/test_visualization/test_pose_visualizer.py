# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample


@pytest.mark.parametrize('backend', ['opencv', 'matplotlib'])
def test_draws_keypoints(backend, tmp_path):
    visualizer = VISUALIZERS.build(
        dict(type='NumpySafePoseVisualizer', name=backend, backend=backend, radius=3)
    )
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    visualizer.set_dataset_meta(meta)
    keypoints = np.random.default_rng(0).uniform(10, 50, (2, 17, 2))
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        keypoints=keypoints, keypoint_scores=np.ones((2, 17))
    )
    image = np.full((64, 60, 3), 128, dtype=np.uint8)
    drawn = visualizer.add_datasample(
        'a', image, sample, draw_gt=False, out_file=str(tmp_path / 'a.png')
    )
    assert drawn.shape == image.shape
    changed = (drawn != 128).any(axis=2)
    x, y = keypoints[0, 0].astype(int)
    assert changed[y, x]
    assert not changed[:4].any()
    assert (tmp_path / 'a.png').is_file()
