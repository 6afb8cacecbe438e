# SPDX-License-Identifier: Apache-2.0
"""Small pose estimators, as crops of a pipeline see them."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS

from rmpe_plugin.deploy import PoseMetadata
from tests.factories import build_sstn, set_stn_bias, sstn_samples

NORMALISATION = dict(
    type='PoseDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
KEYPOINTS = dict(
    dataset_name='five',
    keypoint_info={
        i: dict(name=name, id=i, color=[i, 0, 255], type='', swap=swap)
        for i, (name, swap) in enumerate(
            [('nose', ''), ('a', 'b'), ('b', 'a'), ('c', 'd'), ('d', 'c')]
        )
    },
    skeleton_info={0: dict(link=('nose', 'a'), id=0, color=[0, 255, 0])},
    joint_weights=[1.0] * 5,
    sigmas=[0.05] * 5,
)


def small_model(sppe, window=None, **test_cfg):
    """Pose estimator of a head in eval mode.

    Args:
        sppe (str): Name in :data:`tests.factories.SPPES`.
        window (tuple, optional): Changes of theta with which an SSTN is built; ``None``
            for a model without SSTN.
        test_cfg: Entries of ``test_cfg``.
    """
    if window is None:
        _, model = build_sstn(sppe, test_cfg=test_cfg)
    else:
        model, _ = build_sstn(sppe, test_cfg=test_cfg)
        set_stn_bias(model, *window)
    model.data_preprocessor = MODELS.build(NORMALISATION)
    model.dataset_meta = parse_pose_metainfo(KEYPOINTS)
    return model.eval()


_SIMCC = dict(
    in_channels=64,
    out_channels=5,
    input_size=(64, 96),
    in_featuremap_size=(2, 3),
    simcc_split_ratio=2.0,
    decoder=dict(type='SimCCLabel', input_size=(64, 96), sigma=4.9),
)
_REGRESSION = dict(
    in_channels=64,
    num_joints=5,
    decoder=dict(type='RegressionLabel', input_size=(64, 96)),
)
#: Heads of MMPose that predict no heatmaps.
HEADS = dict(
    simcc=dict(_SIMCC, type='SimCCHead', deconv_out_channels=None),
    rtmcc=dict(
        _SIMCC,
        type='RTMCCHead',
        final_layer_kernel_size=3,
        gau_cfg=dict(
            hidden_dims=32,
            s=16,
            expansion_factor=2,
            dropout_rate=0.0,
            drop_path=0.0,
            act_fn='SiLU',
            use_rel_bias=False,
            pos_enc=False,
        ),
    ),
    rle=dict(_REGRESSION, type='RLEHead'),
    regression=dict(_REGRESSION, type='RegressionHead'),
)


def model_without_heatmaps(name, window=None, **test_cfg):
    """Pose estimator of a head in :data:`HEADS`, as :func:`small_model`."""
    model = small_model('heatmap', window, **test_cfg)
    torch.manual_seed(0)
    model.head = MODELS.build(HEADS[name])
    if name in ('rle', 'regression'):
        model.neck = MODELS.build(dict(type='GlobalAveragePooling'))
        # Keypoints in the crop, unlike those of random weights.
        model.head.fc.bias.data += 0.5
    return model.eval()


def random_crops(number=4, seed=0):
    """Crops of a pipeline: 8-bit noise, 96x64."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (number, 3, 96, 64)).astype(np.uint8)
    samples = sstn_samples('heatmap', number)
    return [
        dict(inputs=torch.from_numpy(image), data_samples=sample)
        for image, sample in zip(images, samples, strict=True)
    ]


def stack(crops):
    """Crops (N, 3, h, w), uint8."""
    return torch.stack([crop['inputs'] for crop in crops])


def small_config(use_udp=False, padding=1.25):
    """The part of a config that crops."""
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale', padding=padding),
        dict(type='TopdownAffine', input_size=(64, 96), use_udp=use_udp),
        dict(type='PackPoseInputs'),
    ]
    dataset = dict(pipeline=pipeline)
    return Config(dict(test_dataloader=dict(dataset=dataset)))


def small_metadata(model, color='bgr'):
    """Metadata of a small model."""
    udp = type(model.head.decoder).__name__ == 'UDPHeatmap'
    return PoseMetadata.of_model(model, small_config(use_udp=udp), color)


@pytest.fixture(scope='session')
def onnx_file(tmp_path_factory):
    """An exported SSTN with flip test, its model and the format."""
    from rmpe_plugin.deploy import PoseFormat, write_onnx
    from rmpe_plugin.inference import PoseGraph

    model = small_model('cpn', (0.1, 0.05, -0.1), sdtn='keypoints', flip_test=True)
    metadata = small_metadata(model)
    form = PoseFormat(PoseGraph(model).eval(), metadata)
    path = tmp_path_factory.mktemp('onnx') / 'cpn.onnx'
    properties = metadata.to_properties()
    write_onnx(form.graph, form.examples(), form.outputs, path, properties)
    return path, model, form
