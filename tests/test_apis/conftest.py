# SPDX-License-Identifier: Apache-2.0
"""Small untrained networks in files, a video, and random poses."""

import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from rmpe_plugin.apis import detect_dataset
from tests.conftest import ROOT

QUICKSTART = ROOT / 'configs' / 'quickstart'
CPN = QUICKSTART / 'td-hm_cpn-res18_synthetic-128x96.py'
DETECTOR = QUICKSTART / 'rtmdet-small_synthetic-160x128.py'

# Without suppression, the detected boxes do not depend on an IoU near the threshold.
DISTINCT_SCORES = """
_base_ = {base!r}
custom_imports = dict(
    imports=['rmpe_plugin', 'tests.test_apis.distinct_score_head'],
    allow_failed_imports=False)
model = dict(
    bbox_head=dict(type='DistinctScoreHead'),
    test_cfg=dict(nms=dict(iou_threshold=1.0)))
"""


def randomize_head(detector):
    """Randomize the head of an untrained RTMDet, which detects nothing.

    The features of an untrained detector are small: the weights are large, so that the
    boxes depend on the image.
    """
    torch.manual_seed(0)
    for layer in detector.bbox_head.rtm_cls:
        torch.nn.init.normal_(layer.weight, std=0.3)
        torch.nn.init.constant_(layer.bias, -3.0)
    # Distances to the four edges: 3 strides.
    exponential = getattr(detector.bbox_head, 'exp_on_reg', False)
    for layer in detector.bbox_head.rtm_reg:
        torch.nn.init.normal_(layer.weight, std=10.0)
        torch.nn.init.constant_(layer.bias, math.log(3) if exponential else 3.0)


def save_untrained(config, path, scope, **meta):
    """Save a checkpoint of a config's model before training."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(Config.fromfile(config).model)
    if scope == 'mmdet':
        randomize_head(model)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='session')
def cpn(tmp_path_factory):
    """Config and checkpoint of a pose estimator."""
    folder = tmp_path_factory.mktemp('cpn')
    return CPN, save_untrained(CPN, folder / 'cpn.pth', 'mmpose')


@pytest.fixture(scope='session')
def detector_files(tmp_path_factory):
    """Config and checkpoint of a person detector with distinct scores."""
    folder = tmp_path_factory.mktemp('detector')
    config = folder / 'detector.py'
    config.write_text(DISTINCT_SCORES.format(base=str(DETECTOR)))
    meta = dict(classes=('person',))
    path = folder / 'detector.pth'
    return config, save_untrained(config, path, 'mmdet', dataset_meta=meta)


@pytest.fixture(scope='session')
def video(tmp_path_factory):
    """A video of ten frames, each brighter than the one before."""
    path = tmp_path_factory.mktemp('video') / 'walk.mp4'
    codec = cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(path), codec, 12.5, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


@pytest.fixture(scope='session')
def coco_meta():
    """MMPose's description of COCO's keypoints."""
    return parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))


def random_poses(number, score=0.9):
    """Create a data sample with random poses."""
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


def interrupt_detection(images, settings, out):
    """Detect people in the first image only."""
    run = detect_dataset(images, settings, out, batch_size=1, devices=['cpu'])
    first = next(run)
    run.close()
    return first
