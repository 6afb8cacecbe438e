# SPDX-License-Identifier: Apache-2.0
"""The runtime of trained models, and the cache of their ONNX files."""

import re

import mmcv
import numpy as np
import onnxruntime
import pytest
import torch

import rmpe_plugin.apis.estimator_loading as module
from rmpe_plugin.apis import (
    RMPEInferencer,
    cache_folder,
    find_model,
    load_estimator,
)

BOXES = [[[100, 20, 300, 400], [250, 60, 420, 380], [10, 10, 90, 200]]]


@pytest.fixture
def logged(monkeypatch):
    texts = []
    for name in ('estimator_loading', 'onnx_cache'):
        path = f'rmpe_plugin.apis.{name}.print_log'
        monkeypatch.setattr(path, lambda text, logger: texts.append(text))
    return texts


def poses(inferencer, image):
    ((_, result),) = inferencer(image, BOXES)
    return result.pred_instances


def test_trained_model_runs_in_onnxruntime_with_the_same_keypoints(coco_cc, logged):
    image = mmcv.imread(sorted(coco_cc.glob('*.jpg'))[0])
    fast = RMPEInferencer('photo', device='cpu', pose_nms=None)
    version = f'onnxruntime {onnxruntime.__version__}'
    assert fast.estimator.runtime == f'{version}, CPUExecutionProvider'
    assert logged[-1] == f'runtime of the pose estimator: {fast.estimator.runtime}'
    plain = RMPEInferencer(*find_model('photo'), device='cpu', pose_nms=None)
    assert plain.estimator.runtime == f'PyTorch {torch.__version__}, cpu'
    actual, expected = poses(fast, image), poses(plain, image)
    errors = np.linalg.norm(actual.keypoints - expected.keypoints, axis=-1)
    assert errors.max() <= 0.01
    np.testing.assert_allclose(
        actual.keypoint_scores, expected.keypoint_scores, atol=1e-4
    )

    # The file is exported once.
    (file,) = cache_folder().glob('*.onnx')
    written = file.stat().st_mtime_ns
    load_estimator('photo', device='cpu')
    (file,) = cache_folder().glob('*.onnx')
    assert file.stat().st_mtime_ns == written
    assert sum('is exported once' in text for text in logged) <= 1


def without_onnxruntime(*packages):
    raise ImportError('onnxruntime not installed')


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (dict(), 'onnxruntime is not used: onnxruntime not installed'),
        (dict(precision='bfloat16'), None),
    ],
)
def test_trained_model_runs_in_pytorch_otherwise(options, reason, logged, monkeypatch):
    monkeypatch.setattr(module, 'require', without_onnxruntime)
    estimator = load_estimator('photo', device='cpu', **options)
    assert estimator.runtime.startswith('PyTorch')
    assert logged == [
        *filter(None, [reason]),
        f'runtime of the pose estimator: {estimator.runtime}',
    ]


def test_pytorch_if_the_file_cannot_be_cached(tmp_path, logged, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('RMPE_CACHE', str(tmp_path / 'file' / 'cache'))
    monkeypatch.setattr('rmpe_plugin.apis.onnx_cache.write_onnx', fail_to_write)
    assert load_estimator('photo', device='cpu').runtime.startswith('PyTorch')
    assert re.search('onnxruntime is not used: .*Not a directory', logged[-2])


def fail_to_write(*args):
    """Fail as :func:`write_onnx` does, without an export."""
    args[3].parent.mkdir(parents=True)
