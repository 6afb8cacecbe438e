# SPDX-License-Identifier: Apache-2.0
import json
from copy import deepcopy

import numpy as np
import pytest

from rmpe_plugin.ops import ProposalModel
from tests.test_ops.test_rmpe.proposal_factories import sample_people, two_pose_model


def test_json_round_trip_and_readable_text(tmp_path):
    model, people = two_pose_model(), sample_people(20)
    path = tmp_path / 'model.json'
    model.to_json(path)
    restored = ProposalModel.from_json(path)
    np.testing.assert_allclose(restored.atoms, model.atoms, atol=1e-6)
    assert restored.torso == model.torso
    assert restored.people == [500, 500]
    detections = model.sample(*people, 1, np.random.default_rng(0))
    np.testing.assert_allclose(
        restored.log_prob(*people, detections), model.log_prob(*people, detections),
        atol=1e-3,
    )  # fmt: skip
    assert '"std": [0.02, 0.02, 0.02, 0.03]' in path.read_text()
    # A model that was read is written unchanged.
    restored.to_json(tmp_path / 'second.json')
    assert (tmp_path / 'second.json').read_text() == path.read_text()


def test_json_round_trip_without_atoms_or_mixtures(tmp_path):
    model, path = two_pose_model(), tmp_path / 'model.json'
    ProposalModel.alphapose().to_json(path)
    assert ProposalModel.from_json(path).atoms is None
    without_mixtures = ProposalModel(model.overall, model.atoms, (None, None), (1, 2))
    without_mixtures.to_json(path)
    assert list(ProposalModel.from_json(path).mixtures) == [None, None]


def _without(*keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return change


def _with(value, *keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_with('coco', 'format'), "must be 'rmpe_plugin proposal model', got 'coco'"),
        (_without('format'), 'got None'),
        (_with(2, 'version'), 'version must be 1, got 2'),
        (_without('overall'), "damaged: 'overall' is missing"),
        (_without('atoms', 0, 'pose'), "damaged: 'pose' is missing"),
        (_without('atoms', 1, 'mixture', 0, 'std'), "damaged: 'std' is missing"),
        (_with([[1, 2]], 'atoms', 0, 'pose'), 'damaged'),
        (_with('abc', 'atoms', 0, 'pose'), 'damaged'),
        (_with([0.1], 'overall', 0, 'mean'), 'damaged'),
        (_with(None, 'overall', 0, 'weight'), 'damaged: weights must be finite'),
        (_with(0.5, 'overall', 0, 'weight'), 'damaged: weights must be'),
        (_with([0, 1, 1, 1], 'overall', 0, 'std'), 'damaged: covariances must be'),
        (_with([], 'overall'), 'damaged'),
        (_with([[5, 6], [11, 99]], 'torso'), 'damaged: torso'),
        (_with([[5, 6]], 'torso'), 'damaged'),
        (_with(None, 'atoms', 0, 'people'), 'damaged'),
    ],
)
def test_raises_on_damaged_file(tmp_path, change, message):
    path = tmp_path / 'model.json'
    two_pose_model().to_json(path)
    record = deepcopy(json.loads(path.read_text()))
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f'model.json .*{message}'):
        ProposalModel.from_json(path)


@pytest.mark.parametrize('content', [b'{"format": ', b'\xff\xfe', b'', b'[]', b'3'])
def test_raises_on_file_of_other_kind(tmp_path, content):
    path = tmp_path / 'model.json'
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r'model\.json (is not JSON|is not a proposal model)'
    ):
        ProposalModel.from_json(path)
