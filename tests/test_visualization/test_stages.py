# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from rmpe_plugin.visualization import stage_pictures, stage_sheet
from rmpe_plugin.visualization.stages import MARGIN, with_margin, with_window
from tests.conftest import ROOT

QUICKSTART = ROOT / 'configs' / 'quickstart'


def build(name, **changes):
    config = Config.fromfile(QUICKSTART / f'td-hm_cpn-res18_{name}synthetic-128x96.py')
    for key, value in changes.items():
        # an attribute of a ConfigDict is merged, an item replaced
        config.model[key] = value
    if 'stn' in config.model:
        config.model.stn.backbone.init_cfg = None
    torch.manual_seed(0)
    return MODELS.build(config.model).eval()


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


@pytest.mark.parametrize(
    ('name', 'titles'),
    [('', CPN), ('sstn_', SSTN)],
)
def test_a_picture_a_stage(name, titles):
    rows = stage_pictures(build(name), CROPS, scale=2)
    assert [list(row) for row in rows] == [titles] * 2
    height, width = (int(side * (1 + 2 * MARGIN)) * 2 for side in (128, 96))
    for row in rows:
        for picture in row.values():
            assert picture.shape == (height, width, 3)
            assert picture.dtype == np.uint8
    sheet = stage_sheet(rows)
    assert sheet.shape == (24 + 2 * height, len(titles) * width, 3)


def test_heads_without_stages():
    net = build('', backbone=dict(type='ResNet', depth=18, base_channels=24,
                                  stem_channels=24), head=HEATMAP_HEAD)  # fmt: skip
    (row,) = stage_pictures(net, CROPS[:1])
    assert list(row) == ['crop', 'heatmaps']


def test_a_head_without_refine_net_has_no_such_picture():
    net = build('')
    net.head.refine_net = None
    (row,) = stage_pictures(net, CROPS[:1])
    assert list(row) == ['crop', 'GlobalNet']


def test_an_identity_window_is_the_outline_of_the_crop():
    crop = np.zeros((64, 48, 3), np.uint8)
    white = (255, 255, 255)
    outlined = with_window(with_margin(crop), torch.eye(2, 3), white)
    rows, columns = np.nonzero((outlined == 255).all(axis=-1))
    # the line is two pixels wide
    assert abs(rows.min() - 8) <= 2
    assert abs(rows.max() - (8 + 63)) <= 2
    assert abs(columns.min() - 6) <= 2
    assert abs(columns.max() - (6 + 47)) <= 2


def test_a_true_window_is_drawn_where_it_is_known():
    net = build('')
    plain, other = stage_pictures(net, CROPS)
    known, unknown = stage_pictures(net, CROPS, true_windows=[torch.eye(2, 3), None])
    assert (known['crop'] != plain['crop']).any()
    np.testing.assert_array_equal(unknown['crop'], other['crop'])
