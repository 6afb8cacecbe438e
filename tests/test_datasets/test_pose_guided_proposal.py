# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import numpy as np
import pytest
import torch
from mmcv.transforms.utils import cache_random_params
from mmengine.dataset import Compose
from mmengine.runner import Runner, set_random_seed
from mmpose.registry import DATASETS

from rmpe_plugin.datasets.transforms import PoseGuidedProposal, RawVisibility
from rmpe_plugin.datasets.transforms.ground_truth_window import _flipped_gt_center
from rmpe_plugin.ops import GaussianMixture, ProposalModel
from tests.factories import coco_results
from tests.test_datasets.test_transforms import CODEC

PROPOSAL = dict(type='PoseGuidedProposal', model='alphapose')
CROP = dict(type='SSTNBBoxCenterScale')
FLIP = dict(type='RandomFlip', direction='horizontal', prob=1.0)
# Only one keypoint of the lower half is labelled, so the upper half is chosen.
HALF = dict(
    type='RandomHalfBody',
    min_total_keypoints=1,
    min_upper_keypoints=2,
    min_lower_keypoints=2,
    prob=1.0,
)
REST = [
    dict(type='TopdownAffine', input_size=(48, 64)),
    dict(type='GenerateSSTNTarget', encoder=CODEC),
    dict(type='PackSSTNInputs'),
]


def run(*pipeline, seed=3, **changes):
    """Apply a pipeline to the sample."""
    set_random_seed(seed)
    return Compose(list(pipeline))(deepcopy(dict(coco_results(), **changes)))


def test_replaces_the_box_and_keeps_the_ground_truth_box():
    results = run(PROPOSAL)
    gt_bbox = coco_results()['bbox']
    np.testing.assert_array_equal(results['gt_bbox'], gt_bbox)
    assert results['bbox'].shape == (1, 4)
    assert results['bbox'].dtype == np.float32
    assert (results['bbox'] != gt_bbox).all()
    np.testing.assert_array_equal(run(PROPOSAL)['bbox'], results['bbox'])
    assert (run(PROPOSAL, seed=4)['bbox'] != results['bbox']).all()
    # The crop is around the proposal.
    center = run(PROPOSAL, CROP)['bbox_center']
    np.testing.assert_allclose(
        center, (results['bbox'][:, :2] + results['bbox'][:, 2:]) / 2
    )


def test_boxes_have_the_distribution_of_the_model():
    model = ProposalModel.alphapose()
    boxes = np.stack([run(PROPOSAL, seed=i)['bbox'][0] for i in range(500)])
    person = coco_results()
    expected = model.sample(
        person['keypoints'][0],
        person['keypoints_visible'][0],
        person['bbox'][0],
        500,
        np.random.default_rng(0),
        (64, 48),
    )
    np.testing.assert_allclose(boxes.mean(axis=0), expected.mean(axis=0), atol=0.8)
    np.testing.assert_allclose(boxes.std(axis=0), expected.std(axis=0), rtol=0.15)


def test_clips_boxes_if_configured():
    border = dict(bbox=np.array([[0, 0, 64, 48]], dtype=np.float32))
    for clip, inside in ((True, 1.0), (False, 0.1)):
        step = dict(PROPOSAL, clip=clip)
        boxes = np.stack([run(step, seed=i, **border)['bbox'][0] for i in range(50)])
        within = (boxes >= 0) & (boxes <= [64, 48, 64, 48])
        assert (within.all(axis=1).mean() >= inside) == clip


def test_random_windows_are_inside_the_ground_truth_box():
    step = dict(PROPOSAL, crop_prob=1.0)
    gt_bbox = coco_results()['bbox'][0]
    for seed in range(20):
        box = run(step, seed=seed)['bbox'][0]
        assert (box[:2] >= gt_bbox[:2]).all()
        assert (box[2:] <= gt_bbox[2:]).all()


@pytest.mark.parametrize(
    'order', [(PROPOSAL, CROP, FLIP), (PROPOSAL, FLIP, CROP), (FLIP, PROPOSAL, CROP)]
)
@pytest.mark.parametrize('crop', ['SSTNBBoxCenterScale', 'CPNBBoxCenterScale'])
def test_ground_truth_crop_equals_the_crop_without_proposal(order, crop):
    order = [dict(step, type=crop) if step is CROP else step for step in order]
    results = run(*order)
    plain = run(*(step for step in order if step is not PROPOSAL))
    center = _flipped_gt_center(results)
    np.testing.assert_allclose(center, plain['bbox_center'], rtol=1e-5)
    np.testing.assert_allclose(results['gt_scale'], plain['bbox_scale'], rtol=1e-5)
    assert not np.allclose(results['bbox_center'], plain['bbox_center'], atol=0.1)


@pytest.mark.parametrize('order', [(PROPOSAL, CROP, FLIP), (FLIP, PROPOSAL, CROP)])
def test_centred_target_is_that_of_the_ground_truth_box(order):
    sstn = run(*order, *REST)['data_samples']
    plain = run(*(s for s in order if s is not PROPOSAL), *REST)['data_samples']
    torch.testing.assert_close(
        sstn.centred.gt_fields.heatmaps, plain.gt_fields.heatmaps, atol=1e-4, rtol=0
    )
    assert not torch.equal(sstn.gt_fields.heatmaps, plain.gt_fields.heatmaps)
    assert (sstn.theta_gt - torch.eye(2, 3)).abs().max() > 0.02


def test_flip_commutes_with_a_symmetric_model():
    step = PoseGuidedProposal('alphapose')
    step.model = ProposalModel(
        GaussianMixture([1.0], [[-0.1, 0.1, 0.1, 0.05]], [1e-10 * np.eye(4)])
    )
    before, after = run(FLIP, step, CROP), run(step, CROP, FLIP)
    np.testing.assert_allclose(before['bbox_center'], after['bbox_center'], atol=0.01)
    np.testing.assert_allclose(before['bbox_scale'], after['bbox_scale'], atol=0.01)


def test_half_body_crop_overrides_the_proposal():
    results, plain, whole = run(PROPOSAL, CROP, HALF), run(CROP, HALF), run(CROP)
    np.testing.assert_array_equal(results['bbox_center'], plain['bbox_center'])
    np.testing.assert_array_equal(results['bbox_scale'], plain['bbox_scale'])
    assert (plain['bbox_scale'] != whole['bbox_scale']).all()


def test_accepts_both_shapes_of_visibility():
    raw = RawVisibility().transform(coco_results())['keypoints_visible']
    assert raw.shape == (1, 4, 2)
    np.testing.assert_array_equal(
        run(PROPOSAL, keypoints_visible=raw)['bbox'], run(PROPOSAL)['bbox']
    )


def test_several_instances():
    people = {
        name: np.repeat(coco_results()[name], 3, axis=0)
        for name in ('bbox', 'keypoints', 'keypoints_visible')
    }
    boxes = run(PROPOSAL, **people)['bbox']
    assert boxes.shape == (3, 4)
    assert len(np.unique(boxes[:, 0])) == 3


def test_cached_randomness_gives_the_same_box():
    step = PoseGuidedProposal('alphapose')
    with cache_random_params(step):
        first, second = (step.transform(coco_results())['bbox'] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (step.transform(coco_results())['bbox'] != first).any()


def build_dataset(root, times=1):
    """The synthetic training split, repeated."""
    dataset = dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'),
        pipeline=[dict(type='LoadImage'), PROPOSAL, CROP, *REST[:1],
                  dict(type='PackPoseInputs')],
    )  # fmt: skip
    return DATASETS.build(dict(type='RepeatDataset', dataset=dataset, times=times))


def load_boxes(dataset, seed):
    """Proposals of one epoch, from a data loader with two workers."""
    loader = Runner.build_dataloader(
        dict(
            batch_size=4,
            num_workers=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dataset,
            collate_fn=dict(type='pseudo_collate'),
        ),
        seed=seed,
    )
    return np.concatenate(
        [s.gt_instances.bboxes for batch in loader for s in batch['data_samples']]
    )


def test_seed_makes_several_proposals_per_person_repeatable(synthetic):
    dataset = build_dataset(synthetic, times=2)
    assert len(dataset) == 2 * len(build_dataset(synthetic))
    boxes = load_boxes(dataset, seed=5)
    first, second = np.split(boxes, 2)
    assert (first != second).any(axis=1).all()
    np.testing.assert_array_equal(load_boxes(dataset, seed=5), boxes)
    assert (load_boxes(dataset, seed=6) != boxes).any(axis=1).all()


def test_loads_a_fitted_model(tmp_path):
    path = tmp_path / 'model.json'
    fixed = GaussianMixture([1.0], [[0.1, 0.1, -0.1, -0.1]], [1e-6 * np.eye(4)])
    ProposalModel(fixed).to_json(path)
    results = run(dict(PROPOSAL, model=str(path)))
    np.testing.assert_allclose(results['bbox'], [[12.8, 9.6, 51.2, 38.4]], atol=0.5)


def test_errors_name_the_argument_or_the_instance(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"PoseGuidedProposal\.model.*'no.json'"
    ):
        PoseGuidedProposal('no.json')
    with pytest.raises(ValueError, match=r'PoseGuidedProposal\.crop_prob .* got 2'):
        PoseGuidedProposal('alphapose', crop_prob=2)
    with pytest.raises(ValueError, match='must come before the transform'):
        run(CROP, PROPOSAL)
    empty = np.array([[5, 5, 5, 9]], dtype=np.float32)
    with pytest.raises(ValueError, match=r'instance 7 of a\.jpg: .*x1 < x2'):
        run(PROPOSAL, bbox=empty)

    atoms = np.random.default_rng(0).normal(size=(1, 17, 2))
    overall = ProposalModel.alphapose().overall
    path = tmp_path / 'model.json'
    ProposalModel(overall, atoms, (overall,), (9,)).to_json(path)
    with pytest.raises(ValueError, match='fitted to 17 keypoints, got 4'):
        run(dict(PROPOSAL, model=str(path)))


def test_repr():
    assert repr(PoseGuidedProposal('alphapose', 0.15)) == (
        "PoseGuidedProposal(model='alphapose', crop_prob=0.15, clip=True)"
    )
