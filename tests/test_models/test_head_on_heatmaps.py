# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS

from rmpe_plugin.models.heads import head_on_heatmaps
from tests.factories import SPPES, build_sstn, sstn_crops, sstn_samples


def head_and_features(sppe):
    _, net = build_sstn(sppe)
    with torch.no_grad():
        return net.head, net.eval().extract_feat(sstn_crops())


@pytest.mark.parametrize('sppe', SPPES)
def test_losses_of_heatmaps_equal_losses_of_features(sppe):
    head, feats = head_and_features(sppe)
    expected = head.loss(feats, sstn_samples(sppe))
    losses = head_on_heatmaps(head).loss(head.forward(feats), sstn_samples(sppe))
    assert losses.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(losses[name], expected[name])


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('sppe', SPPES)
def test_poses_of_heatmaps_equal_poses_of_features(sppe, flip):
    head, feats = head_and_features(sppe)
    test_cfg = dict(flip_test=flip, flip_mode='heatmap', output_heatmaps=True)
    heatmaps = head.forward(feats)
    if flip:
        feats, heatmaps = [feats, feats], [heatmaps, heatmaps]
    samples = sstn_samples(sppe)
    expected, expected_fields = head.predict(feats, samples, test_cfg=test_cfg)
    view = head_on_heatmaps(head)
    poses, fields = view.predict(heatmaps, samples, test_cfg=test_cfg)
    for pose, other in zip(poses, expected, strict=True):
        np.testing.assert_allclose(pose.keypoints, other.keypoints)
        np.testing.assert_allclose(pose.keypoint_scores, other.keypoint_scores)
    for field, other in zip(fields, expected_fields, strict=True):
        torch.testing.assert_close(field.heatmaps, other.heatmaps)


def test_shares_the_state_and_does_not_change_the_head():
    head, feats = head_and_features('cpn')
    expected = head(feats)
    view = head_on_heatmaps(head)
    state = view.state_dict(keep_vars=True)
    assert state.keys() == head.state_dict().keys()
    for key, tensor in head.state_dict(keep_vars=True).items():
        assert state[key] is tensor
    assert 'forward' not in vars(head)
    for maps, other in zip(head(feats), expected, strict=True):
        torch.testing.assert_close(maps, other)


class OffsetHead(HeatmapHead):
    """A user's head with another loss of its heatmaps."""

    def loss(self, feats, batch_data_samples, train_cfg={}):  # noqa: B006
        return dict(loss_mean=self.forward(feats).mean())


def test_heads_of_users():
    head = MODELS.build(dict(SPPES['heatmap']['head'], type=OffsetHead))
    heatmaps = torch.full((2, 5, 24, 16), 0.25)
    losses = head_on_heatmaps(head).loss(heatmaps, [])
    assert losses['loss_mean'] == 0.25
