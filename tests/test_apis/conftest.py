# SPDX-License-Identifier: Apache-2.0
"""Small untrained networks, in files."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

from tests.conftest import ROOT

QUICKSTART = ROOT / 'configs' / 'quickstart'
CPN = QUICKSTART / 'td-hm_cpn-res18_synthetic-128x96.py'
DETECTOR = QUICKSTART / 'rtmdet-small_synthetic-320x256.py'


def find_anything(detector):
    """An untrained RTMDet finds nothing; let it be surer, here and there."""
    torch.manual_seed(0)
    for layer in detector.bbox_head.rtm_cls:
        torch.nn.init.normal_(layer.weight, std=0.3)
        torch.nn.init.constant_(layer.bias, -3.0)
    # distances to the four edges, in strides
    for layer in detector.bbox_head.rtm_reg:
        torch.nn.init.constant_(layer.bias, 3.0)


def save_untrained(config, path, scope, **meta):
    """A checkpoint of a config's model as it is before training."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(Config.fromfile(config).model)
    if scope == 'mmdet':
        find_anything(model)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='session')
def cpn(tmp_path_factory):
    """Config and checkpoint of a pose estimator."""
    folder = tmp_path_factory.mktemp('cpn')
    return CPN, save_untrained(CPN, folder / 'cpn.pth', 'mmpose')


@pytest.fixture(scope='session')
def detector_files(tmp_path_factory):
    """Config and checkpoint of a person detector."""
    path = tmp_path_factory.mktemp('detector') / 'detector.pth'
    meta = dict(classes=('person',))
    return DETECTOR, save_untrained(DETECTOR, path, 'mmdet', dataset_meta=meta)
