# SPDX-License-Identifier: Apache-2.0
"""Trainings that differ in their boxes alone, and a comparison that goes on."""

import json
from argparse import Namespace

import pytest

from rmpe_plugin.ops import ProposalModel
from tests.conftest import ROOT, load_module, run_tool

tool = load_module(ROOT / 'tools' / 'compare_proposals.py')


@pytest.fixture
def model(tmp_path):
    """A model as tools/fit_pgpg.py would write it."""
    path = tmp_path / 'model.json'
    ProposalModel.alphapose().to_json(path)
    return path


def configs(synthetic, model):
    args = Namespace(data=synthetic, model=model, work_dir=model.parent, cfg_options={})
    return {way: tool.build_config(args, way, seed=3) for way in tool.WAYS}


def test_ways_differ_in_their_boxes_alone(synthetic, model):
    found = configs(synthetic, model)
    boxes = {}
    for way, config in found.items():
        steps = {t['type']: t for t in config.train_dataloader.dataset.pipeline}
        jitter = steps['RandomBBoxTransform']
        proposal = steps.pop('PoseGuidedProposal', None)
        boxes[way] = proposal and proposal['model'], jitter['shift_prob']
        assert jitter['rotate_factor'] == 15.0
        assert config.randomness.seed == 3
        config.train_dataloader.dataset.pipeline = [
            t['type'] for t in steps.values() if t is not jitter
        ]
        for key in ('work_dir', 'experiment_name'):
            config.pop(key)
    assert boxes == {
        'no jitter': (None, 0.0),
        'RandomBBoxTransform': (None, 0.3),
        'AlphaPose': ('alphapose', 0.0),
        'PGPG without the pose': (str(model.with_name('without_pose.json')), 0.0),
        'PGPG': (str(model), 0.0),
    }
    first, *others = (config.to_dict() for config in found.values())
    assert all(other == first for other in others)


def test_the_test_is_on_detections_and_validation_on_true_boxes(synthetic, model):
    config = configs(synthetic, model)['PGPG']
    assert config.val_dataloader.dataset.bbox_file is None
    detections = synthetic / 'annotations' / 'person_detections_val.json'
    assert config.test_dataloader.dataset.bbox_file == str(detections)
    assert config.train_cfg.val_interval == config.train_cfg.max_epochs


def test_results_of_something_else_are_not_added_to(tmp_path):
    tool.remember(tmp_path / 'new', dict(data=tmp_path, epochs=2))
    tool.remember(tmp_path / 'new', dict(data=tmp_path, epochs=2))
    with pytest.raises(SystemExit, match='holds results of other arguments'):
        tool.remember(tmp_path / 'new', dict(data=tmp_path, epochs=3))


@pytest.mark.slow
def test_goes_on_with_what_is_missing(synthetic, model):
    """Four of the five ways are there; the fifth is trained on eight images."""
    path = model.parent / 'results.json'
    done = {'0': {'detections': 0.25, 'true boxes': 0.5}}
    path.write_text(json.dumps({way: done for way in list(tool.WAYS)[:4]}))
    printed = run_tool(
        'compare_proposals.py',
        '--data', synthetic, '--model', model, '--work-dir', model.parent,
        '--seeds', 0, '--cfg-options', 'train_dataloader.batch_size=4',
    ).stdout  # fmt: skip
    results = json.loads(path.read_text())
    assert results['no jitter'] == done
    assert 0 <= results['PGPG']['0']['detections'] <= 1
    assert printed.count('0.2500') == 8
    assert path.with_suffix('.png').stat().st_size > 10_000
    assert (model.parent / 'PGPG-0' / 'epoch_2.pth').is_file()
