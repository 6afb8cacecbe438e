# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.registry import METRICS

from rmpe_plugin.evaluation.metrics.window_iou_metric import window_iou

IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def counted_iou(theta, other, size=400):
    """IoU by counting the points of a fine grid inside the windows."""
    axis = (torch.arange(size) + 0.5) / size * 6 - 3
    points = torch.cartesian_prod(axis, axis)
    inside = []
    for window in (theta, other):
        linear = torch.linalg.inv(window[:, :2])
        inside.append(((points - window[:, 2]) @ linear.T).abs().amax(dim=1) <= 1)
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum())


def test_iou_equals_counted_points():
    torch.manual_seed(0)
    a, b = torch.eye(2, 3) + 0.25 * torch.randn(2, 20, 2, 3)
    iou = window_iou(a, b)
    expected = [counted_iou(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(iou, expected, rtol=0, atol=0.01)


def test_iou_of_boxes():
    windows = torch.tensor(
        [
            IDENTITY,
            [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]],
            [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]],
            [[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]],
        ]
    )
    iou = window_iou(windows, windows[:1].expand(4, 2, 3))
    np.testing.assert_allclose(iou, [1, 0.25, 1 / 3, 0], atol=1e-6)


def test_ignores_the_default_device():
    metric = METRICS.build(dict(type='WindowIoUMetric'))
    window = sample(IDENTITY, IDENTITY)
    with torch.device('meta'):
        metric.process([], [window])
    assert metric.compute_metrics(metric.results)['iou'] == pytest.approx(1)


def sample(theta, theta_gt):
    return dict(
        pred_instances=dict(theta=torch.tensor([theta]).numpy()),
        theta_gt=torch.tensor(theta_gt),
    )


def test_metric_averages_over_samples():
    metric = METRICS.build(dict(type='WindowIoUMetric'))
    half = [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    metric.process([], [sample(half, half), sample(IDENTITY, half)])
    metric.process([], [sample(half, IDENTITY)])
    results = metric.evaluate(3)
    assert results['window/iou'] == pytest.approx((1 + 0.25 + 0.25) / 3, abs=1e-5)
    assert results['window/iou_crop'] == pytest.approx((0.25 + 0.25 + 1) / 3, abs=1e-5)
    assert results['window/gain'] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize('missing', ['theta', 'theta_gt'])
def test_raises_if_a_window_is_missing(missing):
    data_sample = sample(IDENTITY, IDENTITY)
    data_sample.pop(missing, None)
    data_sample['pred_instances'].pop(missing, None)
    with pytest.raises(ValueError, match='needs an SSTNPoseEstimator'):
        METRICS.build(dict(type='WindowIoUMetric')).process([], [data_sample])
