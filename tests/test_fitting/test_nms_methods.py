# SPDX-License-Identifier: Apache-2.0
import pickle

import pytest

from rmpe_plugin.fitting.evaluation_split import EvaluationSplit
from rmpe_plugin.fitting.nms_methods import (
    MMPOSE_NMS,
    OKS_THRESHOLDS,
    PRESETS,
    oks_methods,
    parametric_nms,
)
from rmpe_plugin.ops import PoseNMSParams
from tests.test_fitting.factories import metric_ap


@pytest.fixture(scope='module')
def split(predicted_crowd):
    return EvaluationSplit.from_files(*predicted_crowd[:2])


@pytest.mark.parametrize('preset', PRESETS)
def test_parametric_nms_equals_metric(split, predicted_crowd, preset):
    _, ann, ap_without_nms = predicted_crowd
    people = parametric_nms(split, PoseNMSParams.preset(preset))
    ap = metric_ap(ann, pose_nms=dict(preset=preset))
    assert split.score(people) == pytest.approx(ap, abs=1e-6)
    assert len(people) < split.num_predictions
    if preset == 'alphapose-coco':
        assert ap > ap_without_nms


@pytest.mark.parametrize('name', MMPOSE_NMS)
def test_mmpose_nms_equals_metric(split, predicted_crowd, name):
    nms_mode = name.lower().replace('-', '_').replace(' ', '_')
    ap = metric_ap(predicted_crowd[1], nms_mode=nms_mode, nms_thr=0.5)
    method = oks_methods(name)[0.5]
    assert split.score(method(split)) == pytest.approx(ap, abs=1e-6)


def test_methods_can_be_pickled(split):
    methods = oks_methods('OKS-NMS')
    assert tuple(methods) == OKS_THRESHOLDS
    method = pickle.loads(pickle.dumps(methods[0.3]))
    assert method(split) == methods[0.3](split)
