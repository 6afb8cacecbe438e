# SPDX-License-Identifier: Apache-2.0
import pytest

from rmpe_plugin.learning.box_variants import (
    BOX_VARIANTS,
    box_variant_config,
    write_models,
)
from rmpe_plugin.ops import ProposalModel


@pytest.fixture
def configs(synthetic, tmp_path):
    """Config of every variant."""
    write_models(ProposalModel.alphapose(), tmp_path)
    return {
        variant: box_variant_config(variant, 3, synthetic, tmp_path, {})
        for variant in BOX_VARIANTS
    }


def test_variants_differ_only_in_their_boxes(configs, tmp_path):
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


def test_validates_on_gt_boxes_and_tests_on_detections(configs, synthetic):
    config = configs['PGPG']
    assert config.val_dataloader.dataset.bbox_file is None
    detections = synthetic / 'annotations' / 'person_detections_val.json'
    assert config.test_dataloader.dataset.bbox_file == str(detections)
    assert config.train_cfg.val_interval == config.train_cfg.max_epochs
