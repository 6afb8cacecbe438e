# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.structures import PoseDataSample

from rmpe_plugin.visualization import draw_batch_stages, draw_stages, stage_sheet
from rmpe_plugin.visualization.stages import MARGIN, add_margin, draw_window
from tests.factories import quickstart_model

CROPS = torch.randn(2, 3, 128, 96)
CPN = ['crop', 'GlobalNet', 'RefineNet']
SSTN = ['crop', 'after STN', 'GlobalNet', 'RefineNet', 'after SDTN']
HEATMAP_HEAD = dict(
    type='HeatmapHead',
    in_channels=192,
    out_channels=17,
    deconv_out_channels=(8,),
    deconv_kernel_sizes=(4,),
)


def build(name='', **changes):
    return quickstart_model(name, **changes).eval()


@pytest.mark.parametrize(('name', 'titles'), [('', CPN), ('sstn_', SSTN)])
def test_draws_one_image_per_stage(name, titles):
    rows = draw_stages(build(name), CROPS, scale=2)
    assert [list(row) for row in rows] == [titles] * 2
    height, width = (int(side * (1 + 2 * MARGIN)) * 2 for side in (128, 96))
    for row in rows:
        for image in row.values():
            assert image.shape == (height, width, 3)
            assert image.dtype == np.uint8
    sheet = stage_sheet(rows)
    assert sheet.shape == (24 + 2 * height, len(titles) * width, 3)


def test_draws_other_heads_without_stages():
    backbone = dict(type='ResNet', depth=18, base_channels=24, stem_channels=24)
    (row,) = draw_stages(build(backbone=backbone, head=HEATMAP_HEAD), CROPS[:1])
    assert list(row) == ['crop', 'heatmaps']


def test_draws_a_head_without_refine_net():
    net = build()
    net.head.refine_net = None
    (row,) = draw_stages(net, CROPS[:1])
    assert list(row) == ['crop', 'GlobalNet']


def test_identity_window_is_the_outline_of_the_crop():
    crop = np.zeros((64, 48, 3), np.uint8)
    white = (255, 255, 255)
    outlined = draw_window(add_margin(crop), torch.eye(2, 3), white)
    rows, columns = np.nonzero((outlined == 255).all(axis=-1))
    # the line is two pixels wide
    assert abs(rows.min() - 8) <= 2
    assert abs(rows.max() - (8 + 63)) <= 2
    assert abs(columns.min() - 6) <= 2
    assert abs(columns.max() - (6 + 47)) <= 2


def test_draws_ground_truth_windows_of_samples_that_have_one():
    net = build()
    plain, other = draw_stages(net, CROPS)
    with_gt, without_gt = draw_stages(net, CROPS, theta_gt=[torch.eye(2, 3), None])
    assert (with_gt['crop'] != plain['crop']).any()
    np.testing.assert_array_equal(without_gt['crop'], other['crop'])


def test_batch_is_preprocessed_and_drawn_with_its_ground_truth_windows():
    net = build()
    images = torch.randint(0, 256, (2, 3, 128, 96), dtype=torch.uint8)
    samples = [PoseDataSample(), PoseDataSample()]
    samples[0].theta_gt = torch.eye(2, 3)
    batch = dict(inputs=list(images), data_samples=samples)
    inputs = net.data_preprocessor(batch)['inputs']
    expected = draw_stages(net, inputs, theta_gt=[torch.eye(2, 3), None])
    batch = dict(inputs=list(images), data_samples=samples)
    np.testing.assert_array_equal(draw_batch_stages(net, batch), stage_sheet(expected))
