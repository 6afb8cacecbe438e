# SPDX-License-Identifier: Apache-2.0
"""ONNX files in place of config and checkpoint."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rmpe_plugin.apis import Frames, RMPEInferencer
from rmpe_plugin.deploy import PoseFormat, PoseMetadata, write_onnx
from rmpe_plugin.inference import PoseGraph
from tests.conftest import ROOT

BOXES = [np.array([[10.0, 20, 90, 200, 0.9], [150, 5, 220, 120, 0.3]])] * 3
EXAMPLE = ROOT / 'docs' / 'examples' / 'onnx_keypoints.py'


@pytest.fixture(scope='module')
def images(synthetic):
    return [frame.image for frame in Frames(synthetic / 'val')][:3]


@pytest.fixture(scope='module')
def plain(cpn):
    return RMPEInferencer(*cpn, device='cpu', pose_nms=None)


@pytest.fixture(
    scope='module', params=['bgr', pytest.param('rgb', marks=pytest.mark.slow)]
)
def onnx_file(request, plain, tmp_path_factory):
    """The pose estimator as ONNX file, for crops of both channel orders."""
    color = request.param
    model, config = plain.estimator.model, plain.estimator.config
    metadata = PoseMetadata.of_model(model, config, color)
    dtype = 'uint8' if color == 'bgr' else 'float32'
    form = PoseFormat(PoseGraph(model, color).eval(), metadata, dtype)
    path = tmp_path_factory.mktemp('onnx') / 'cpn.onnx'
    properties = metadata.to_properties()
    write_onnx(form.graph, form.examples(), form.outputs, path, properties)
    return path


def assert_close(actual, expected):
    """Assert that two results have the same poses."""
    actual, expected = actual.poses.pred_instances, expected.poses.pred_instances
    errors = np.linalg.norm(actual.keypoints - expected.keypoints, axis=-1)
    # The second maximum of a heatmap of an untrained network can be a near tie.
    assert (errors <= 0.02).mean() >= 0.98
    for name in ('keypoint_scores', 'keypoints_visible', 'scores', 'bbox_scores'):
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-4)
    np.testing.assert_array_equal(actual.bboxes, expected.bboxes)


def test_same_poses_as_pytorch(plain, onnx_file, images):
    inferencer = RMPEInferencer(onnx_file, device='cpu', pose_nms=None, person_batch=4)
    results = zip(inferencer(images, BOXES), plain(images, BOXES), strict=True)
    for actual, expected in results:
        assert_close(actual, expected)


def test_options_are_those_of_other_models(onnx_file, images):
    inferencer = RMPEInferencer(onnx_file, detector='whole_image', score_mode='bbox')
    for result in inferencer(images):
        assert len(result.poses.pred_instances) <= 1


def test_bfloat16_is_close_to_float32(cpn, plain, images):
    inferencer = RMPEInferencer(*cpn, device='cpu', pose_nms=None, precision='bfloat16')
    for actual, expected in zip(
        inferencer(images, BOXES), plain(images, BOXES), strict=True
    ):
        scores = actual.poses.pred_instances.keypoint_scores
        expected_scores = expected.poses.pred_instances.keypoint_scores
        assert scores.dtype != torch.bfloat16
        np.testing.assert_allclose(scores, expected_scores, atol=0.02)


def test_raises_on_unknown_precision(cpn):
    with pytest.raises(ValueError, match=r"precision must be one of .*got 'int4'"):
        RMPEInferencer(*cpn, precision='int4')


def without_torch(folder):
    """Make a folder of packages that contains only what the example imports."""
    names = ('numpy', 'cv2', 'onnxruntime', 'google', 'flatbuffers', 'packaging')
    for name in names:
        (location,) = find_spec(name).submodule_search_locations
        (folder / name).symlink_to(location)
        for libraries in Path(location).parent.glob('*.libs'):
            if not (folder / libraries.name).exists():
                (folder / libraries.name).symlink_to(libraries)
    return folder


def test_example_runs_without_torch(plain, onnx_file, images, tmp_path):
    box = BOXES[0][0, :4]
    cv2.imwrite(str(tmp_path / 'image.png'), images[0])
    (tmp_path / 'packages').mkdir()
    environment = dict(os.environ, PYTHONPATH=str(without_torch(tmp_path / 'packages')))
    # -S: without site-packages
    python = [sys.executable, '-S']
    has_torch = subprocess.run(
        [*python, '-c', 'import torch'], env=environment, capture_output=True
    )
    assert b"No module named 'torch'" in has_torch.stderr

    command = [*python, EXAMPLE, onnx_file, tmp_path / 'image.png', *box]
    result = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    rows = re.findall(r'^\w+ +([-.\d]+) +([-.\d]+) +([.\d]+)$', result.stdout, re.M)
    values = np.array(rows, float)
    (expected,) = plain(images[:1], [BOXES[0][:1]])
    pose = expected.poses.pred_instances
    assert values.shape == (17, 3)
    # Printed with one and two decimals
    errors = np.abs(values[:, :2] - pose.keypoints[0]).max(axis=1)
    assert (errors <= 0.07).mean() >= 0.9
    np.testing.assert_allclose(values[:, 2], pose.keypoint_scores[0], atol=0.006)
