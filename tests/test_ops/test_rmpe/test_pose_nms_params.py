# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import FrozenInstanceError

import pytest

from rmpe_plugin.ops import PoseNMSParams

REQUIRED = dict(sigma1=1.0, sigma2=2.0, lambda_=3.0, eta=4.0)


@pytest.mark.parametrize('name', ['rmpe-paper', 'rmpe-mpii', 'alphapose-coco'])
def test_json_round_trip(name, tmp_path):
    params = PoseNMSParams.preset(name)
    params.to_json(tmp_path / 'pose_nms.json')
    assert PoseNMSParams.from_json(tmp_path / 'pose_nms.json') == params
    assert PoseNMSParams.from_config(str(tmp_path / 'pose_nms.json')) == params
    assert PoseNMSParams.from_config(name) == params


def test_parameters_are_frozen():
    with pytest.raises(FrozenInstanceError):
        PoseNMSParams(**REQUIRED).eta = 5.0


def test_arguments_override_preset():
    params = PoseNMSParams.from_config(dict(preset='alphapose-coco', match_count=None))
    assert params.match_count is None
    assert params.sigma2 == 2.65


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(sigma1=0), 'pose_nms.sigma1 must be above 0, got 0'),
        (dict(sigma2=-1.0), 'pose_nms.sigma2 must be above 0'),
        (dict(eta=0.0), 'pose_nms.eta must be above 0'),
        (dict(eta=float('nan')), 'pose_nms.eta must be a finite number, got nan'),
        (dict(eta='22'), "pose_nms.eta must be a finite number, got '22'"),
        (dict(eta=None), 'pose_nms.eta must be a finite number, got None'),
        (dict(lambda_=-0.1), 'pose_nms.lambda_ must be at least 0'),
        (dict(region='square'), "pose_nms.region must be one of 'box', 'circle'"),
        (dict(units='metre'), "pose_nms.units must be one of 'box', 'pixel'"),
        (dict(merge=True), "pose_nms.merge must be one of 'none', 'weighted'"),
        (dict(squared=1), 'pose_nms.squared must be True or False'),
        (dict(match_count=0), 'pose_nms.match_count must be a whole number'),
        (dict(match_count=2.5), 'pose_nms.match_count must be a whole number'),
        (dict(merge_radius=0), 'pose_nms.merge_radius must be above 0'),
        (dict(min_area=float('inf')), 'pose_nms.min_area must be a finite number'),
    ],
)
def test_raises_on_invalid_values(change, message):
    with pytest.raises(ValueError, match=message.replace('.', r'\.')):
        PoseNMSParams(**{**REQUIRED, **change})


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            dict(preset='coco'),
            "one of 'rmpe-paper', 'rmpe-mpii', 'alphapose-coco', got",
        ),
        (
            dict(REQUIRED, sigma=1),
            'pose_nms got unknown parameters sigma; the parameters are sigma1, sigma2',
        ),
        (
            dict(sigma1=1.0, eta=2.0),
            'pose_nms needs sigma2, lambda_, or the key preset, got sigma1, eta',
        ),
    ],
)
def test_raises_on_unknown_and_missing_names(values, message):
    with pytest.raises(ValueError, match=message):
        PoseNMSParams.from_config(values)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"sigma1": 1', 'is not JSON'),
        ('[1, 2]', 'must contain a JSON object of pose NMS parameters, got a list'),
        (
            json.dumps(dict(REQUIRED, eta=-1)),
            'params.json: pose_nms.eta must be above 0',
        ),
        (
            json.dumps(dict(REQUIRED, images=[])),
            'params.json: pose_nms got unknown parameters images',
        ),
        ('{"sigma1": NaN, "sigma2": 1, "lambda_": 1, "eta": 1}', 'finite'),
    ],
)
def test_raises_on_invalid_file(text, message, tmp_path):
    path = tmp_path / 'params.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        PoseNMSParams.from_json(path)
