# SPDX-License-Identifier: Apache-2.0
"""The graph against the model's own ``predict``."""

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS, MODELS

from rmpe_plugin.deploy import pytorch_poses
from rmpe_plugin.inference import PoseGraph
from tests.factories import SPPES
from tests.test_deploy.conftest import (
    HEADS,
    model_without_heatmaps,
    random_crops,
    small_model,
    stack,
)

WINDOW = (0.2, 0.05, -0.1, 0.03, 0.15, 0.1)
SIZES = dict(input_size=(64, 96), heatmap_size=(16, 24))
CODECS = dict(
    megvii=dict(type='MegviiHeatmap', kernel_size=7),
    dark=dict(type='MSRAHeatmap', sigma=2, unbiased=True),
    udp=dict(type='UDPHeatmap', sigma=2),
)


def assert_same_poses(model, graph, images=None):
    crops = random_crops()
    with torch.no_grad():
        keypoints, scores = graph(stack(crops) if images is None else images)
    expected, expected_scores = pytorch_poses(model, crops)
    errors = np.abs(keypoints.numpy() - expected)
    assert (errors <= 2e-3 + 1e-3 * np.abs(expected)).mean() >= 0.95
    # DARK takes long steps on heatmaps of an untrained model where the Hessian is
    # almost singular. Rounding then differs between CPUs.
    assert (errors <= 1e-2 + 1e-2 * np.abs(expected)).all()
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('sdtn', [None, 'heatmaps', 'keypoints'])
@pytest.mark.parametrize('sppe', SPPES)
def test_equals_predict(sppe, sdtn, flip_test):
    settings = dict(flip_test=flip_test)
    if sdtn is not None:
        settings['sdtn'] = sdtn
    model = small_model(sppe, None if sdtn is None else WINDOW, **settings)
    assert_same_poses(model, PoseGraph(model))


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('window', [None, WINDOW])
@pytest.mark.parametrize('name', HEADS)
def test_heads_without_heatmaps_equal_predict(name, window, flip_test):
    model = model_without_heatmaps(name, window, flip_test=flip_test)
    assert_same_poses(model, PoseGraph(model))


@pytest.mark.parametrize('window', [None, WINDOW])
@pytest.mark.parametrize('name', CODECS)
def test_codecs(name, window):
    model = small_model('heatmap', window, **({'sdtn': 'keypoints'} if window else {}))
    # Heatmaps of the size of targets.
    model.head.final_layer.weight.data *= 3e5 if name == 'megvii' else 1e3
    # MMPose's UDPHeatmap reads beyond a heatmap without a positive value.
    model.head.final_layer.bias.data += 0.5
    model.head.decoder = KEYPOINT_CODECS.build(dict(CODECS[name], **SIZES))
    assert_same_poses(model, PoseGraph(model))


@pytest.mark.parametrize('test_cfg', [dict(stage='global'), dict(shift_heatmap=True)])
def test_settings_of_test_cfg(test_cfg):
    model = small_model('cpn', flip_test=True, **test_cfg)
    assert_same_poses(model, PoseGraph(model))


def test_colour_and_type_of_the_crops():
    model = small_model('cpn')
    images = stack(random_crops())
    assert_same_poses(model, PoseGraph(model, 'rgb'), images.flip(1).float())


def test_model_without_normalisation():
    model = small_model('cpn')
    model.data_preprocessor = MODELS.build(dict(type='PoseDataPreprocessor'))
    assert_same_poses(model, PoseGraph(model))


def test_inverse_affine_maps_to_the_image():
    graph = PoseGraph(small_model('cpn'))
    images = stack(random_crops())
    torch.manual_seed(0)
    matrices = torch.rand(len(images), 2, 3)
    with torch.no_grad():
        keypoints, scores = graph(images)
        mapped, same_scores = graph(images, matrices)
    ones = torch.ones(*keypoints.shape[:2], 1)
    homogeneous = torch.cat((keypoints, ones), dim=-1)
    expected = torch.einsum('bij,bkj->bki', matrices, homogeneous)
    torch.testing.assert_close(mapped, expected)
    assert torch.equal(scores, same_scores)


def test_half_precision_keeps_the_model_and_the_means():
    model = small_model('cpn', WINDOW)
    graph = PoseGraph(model, dtype=torch.float16)
    assert next(model.parameters()).dtype == torch.float32
    assert next(graph.model.backbone.parameters()).dtype == torch.float16
    assert graph.model.data_preprocessor.mean.dtype == torch.float32
    with torch.no_grad():
        keypoints, scores = graph(stack(random_crops()))
    assert keypoints.dtype == scores.dtype == torch.float32
    _, expected = pytorch_poses(model, random_crops())
    np.testing.assert_allclose(scores, expected, atol=0.02)


def test_raises_on_unsupported_models():
    model = model_without_heatmaps('rle')
    head = dict(HEADS['regression'], type='DSNTHead', in_featuremap_size=(2, 3))
    model.head = MODELS.build(head)
    with pytest.raises(ValueError, match='one of CPNHead, .* got DSNTHead'):
        PoseGraph(model)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(flip_test=True, flip_mode='udp_combined'), "flip_mode must be 'heatmap'"),
        (dict(output_keypoint_indices=[0]), 'output_keypoint_indices is not'),
        (dict(output_heatmaps=True), 'output_heatmaps is not supported'),
    ],
)
def test_raises_on_settings_that_cannot_be_exported(change, message):
    model = small_model('heatmap')
    model.test_cfg.update(change)
    with pytest.raises(ValueError, match=message):
        PoseGraph(model)


def test_raises_without_decoder_and_on_unknown_colour():
    model = small_model('heatmap')
    with pytest.raises(ValueError, match="one of .*got 'hsv'"):
        PoseGraph(model, 'hsv')
    model.head.decoder = None
    with pytest.raises(ValueError, match='model.head.decoder is missing'):
        PoseGraph(model)
