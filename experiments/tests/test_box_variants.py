# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from experiments.box_variants import (
    BOX_VARIANTS,
    box_variant_config,
    train_box_variant,
    write_models,
)
from rmpe_plugin.ops import GaussianMixture, ProposalModel
from tests.factories import SMALL_BATCHES


@pytest.fixture
def model():
    """A proposal model with one atomic pose."""
    overall = ProposalModel.alphapose().overall
    narrow = GaussianMixture(np.ones(1), np.zeros((1, 4)), 0.01 * np.eye(4)[None])
    return ProposalModel(overall, np.eye(17, 2)[None], [narrow], [500])


@pytest.fixture
def configs(synthetic, tmp_path):
    """Config of every variant."""
    return {
        variant: box_variant_config(variant, 3, synthetic, tmp_path, {})
        for variant in BOX_VARIANTS
    }


def test_variants_differ_only_in_the_boxes(configs, tmp_path):
    boxes = {}
    for variant, config in configs.items():
        steps = {t['type']: t for t in config.train_dataloader.dataset.pipeline}
        jitter = steps['RandomBBoxTransform']
        proposal = steps.pop('PoseGuidedProposal', None)
        boxes[variant] = proposal and proposal['model'], jitter['shift_prob']
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
        'PGPG, single mixture': (str(tmp_path / 'single_mixture.json'), 0.0),
        'PGPG': (str(tmp_path / 'model.json'), 0.0),
    }
    first, *others = (config.to_dict() for config in configs.values())
    assert all(other == first for other in others)


def test_trainings_have_folders_of_their_own(configs):
    assert len({config.work_dir for config in configs.values()}) == len(configs)


def test_tests_on_detections_and_validates_on_ground_truth_boxes(configs, synthetic):
    config = configs['PGPG']
    assert config.val_dataloader.dataset.bbox_file is None
    detections = synthetic / 'annotations' / 'person_detections_val.json'
    assert config.test_dataloader.dataset.bbox_file == str(detections)


def test_single_mixture_ignores_the_pose(model, tmp_path):
    write_models(model, tmp_path)
    assert len(ProposalModel.from_json(tmp_path / 'model.json').atoms) == 1
    single = ProposalModel.from_json(tmp_path / 'single_mixture.json')
    assert single.atoms is None
    assert single.overall.to_records() == model.overall.to_records()


def test_trains_a_variant(synthetic, model, tmp_path, unformatted_configs):
    write_models(model, tmp_path)
    config = box_variant_config('PGPG', 0, synthetic, tmp_path, SMALL_BATCHES)
    results = train_box_variant(config)
    assert set(results) == {'detections', 'ground-truth boxes'}
    assert all(0 <= ap <= 1 for ap in results.values())
    assert (tmp_path / 'PGPG-0' / 'epoch_2.pth').is_file()
