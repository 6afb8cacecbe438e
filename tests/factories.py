# SPDX-License-Identifier: Apache-2.0
"""Functions with which tests build data samples, inputs and small models."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpose.datasets.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData, PoseDataSample
from torch import Tensor, nn

from tests.conftest import ROOT

# --- configs ------------------------------------------------------------------------


def use_synthetic_people(dataset: dict, folder: Path) -> None:
    """Replace the data of a config's data set by the training split of ``synthetic``.

    People of data sets with fewer keypoints than COCO keep the first ones.
    """
    ann_file = folder / 'annotations' / 'person_keypoints_train.json'
    content = json.loads(ann_file.read_text())
    category = content['categories'][0]
    meta = parse_pose_metainfo(dataset.get('metainfo', CocoDataset.METAINFO))
    if [*meta['keypoint_name2id']] != category['keypoints']:
        for person in content['annotations']:
            person['keypoints'] = person['keypoints'][: 3 * meta['num_keypoints']]
        # Names of COCO, which contradict those of the config.
        del category['keypoints']
        ann_file = ann_file.with_stem(meta['dataset_name'])
        ann_file.write_text(json.dumps(content))
    dataset.update(
        data_root='', ann_file=str(ann_file), data_prefix=dict(img=f'{folder}/train/')
    )


# --- data samples ---------------------------------------------------------------------


def pose_data_sample(heatmaps: Tensor, weights: Tensor, **metainfo) -> PoseDataSample:
    """Sample with targets, as ``PackPoseInputs`` packs it.

    Args:
        heatmaps (Tensor): One target (K, H, W), or a multilevel target (T, K, H, W).
        weights (Tensor): Keypoint weights (1, K), or (T, 1, K).
        metainfo: Meta information of the sample.
    """
    if heatmaps.ndim == 4:
        fields = MultilevelPixelData()
        fields.set_field(list(heatmaps), 'heatmaps')
    else:
        fields = PixelData(heatmaps=heatmaps)
    labels = InstanceData(keypoint_weights=weights)
    return PoseDataSample(
        gt_fields=fields, gt_instance_labels=labels, metainfo=metainfo
    )


def cpn_samples(batch=2, num_keypoints=17, num_targets=5, size=(32, 24)):
    """Samples with random multilevel targets for a CPN."""
    torch.manual_seed(1)
    samples = []
    for _ in range(batch):
        heatmaps = torch.rand(num_targets, num_keypoints, *size)
        weights = (torch.rand(num_targets, 1, num_keypoints) > 0.3).float()
        flip_indices = list(range(num_keypoints))[::-1]
        samples.append(pose_data_sample(heatmaps, weights, flip_indices=flip_indices))
    return samples


def coco_results(visibility=(2, 1, 0, 2), image_size=(64, 48)):
    """Results of a COCO data set for a pipeline: one person with four keypoints."""
    width, height = image_size
    rng = np.random.default_rng(0)
    keypoints = rng.uniform((10, 10), (width - 10, height - 10), (1, 4, 2))
    keypoints = keypoints.astype(np.float32)
    visibility = np.array([visibility], dtype=np.float32)
    annotated = np.concatenate((keypoints, visibility[..., None]), axis=2)
    return dict(
        id=7,
        img_path='a.jpg',
        img=rng.integers(0, 255, (height, width, 3)).astype(np.uint8),
        img_shape=(height, width),
        bbox=np.array([[8.0, 6.0, 56.0, 42.0]], dtype=np.float32),
        keypoints=keypoints,
        keypoints_visible=np.minimum(visibility, 1),
        raw_ann_info=dict(keypoints=annotated.ravel().tolist()),
        flip_indices=[1, 0, 3, 2],
        upper_body_ids=[0, 1],
        lower_body_ids=[2, 3],
        dataset_keypoint_weights=np.ones(4),
    )


# --- models of the quickstart ---------------------------------------------------------

QUICKSTART = ROOT / 'configs' / 'quickstart'
# Changes to a config of the quickstart: batches of 4, loaded by the main process.
SMALL_BATCHES = {
    'train_dataloader.batch_size': 4,
    'train_dataloader.num_workers': 0,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}


def quickstart_config(name: str = '') -> Config:
    """Config ``td-hm_cpn-res18_{name}synthetic-128x96`` without pretrained weights."""
    config = Config.fromfile(QUICKSTART / f'td-hm_cpn-res18_{name}synthetic-128x96.py')
    if 'stn' in config.model:
        config.model.stn.backbone.init_cfg = None
    return config


def quickstart_model(name: str = '', **changes) -> nn.Module:
    """Model of :func:`quickstart_config`, with entries of its config replaced."""
    model = quickstart_config(name).model
    for key, value in changes.items():
        # an attribute of a ConfigDict is merged, an item is replaced
        model[key] = value
    torch.manual_seed(0)
    return MODELS.build(model)


# --- SSTNs around small single-person pose estimators ---------------------------------

SSTN_KEYPOINTS = 5
SSTN_INPUT = (96, 64)  # (h, w)
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
STN = dict(
    type='SpatialTransformer', backbone=dict(RESNET, out_indices=(3,)), in_channels=64
)
_MSE = dict(type='KeypointMSELoss', use_target_weight=True)
_MSRA = dict(type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=1)
_CPN = dict(
    type='CPNHeatmap', input_size=(64, 96), heatmap_size=(16, 24), kernel_size=5
)
# A model for each kind of head that the SSTN supports, and one with a neck.
SPPES = dict(
    heatmap=dict(
        backbone=dict(RESNET, out_indices=(0, 3)),
        head=dict(
            type='HeatmapHead',
            in_channels=64,
            out_channels=SSTN_KEYPOINTS,
            deconv_out_channels=(8, 8, 8),
            deconv_kernel_sizes=(4, 4, 4),
            loss=_MSE,
            decoder=_MSRA,
        ),
    ),
    neck=dict(
        backbone=dict(RESNET, out_indices=(0, 3)),
        neck=dict(type='FeatureMapProcessor', select_index=(0, 1), concat=True),
        head=dict(
            type='HeatmapHead',
            in_channels=72,
            out_channels=SSTN_KEYPOINTS,
            deconv_out_channels=None,
            loss=_MSE,
            decoder=_MSRA,
        ),
    ),
    cpm=dict(
        backbone=dict(
            type='HourglassNet',
            num_stacks=2,
            downsample_times=1,
            stage_channels=(256, 32),
            stage_blocks=(1, 1),
            feat_channel=32,
        ),
        head=dict(
            type='CPMHead',
            in_channels=32,
            out_channels=SSTN_KEYPOINTS,
            num_stages=2,
            deconv_out_channels=None,
            loss=_MSE,
            decoder=_MSRA,
        ),
    ),
    mspn=dict(
        backbone=dict(type='MSPN', unit_channels=8, num_stages=2, num_units=4),
        head=dict(
            type='MSPNHead',
            out_shape=(24, 16),
            unit_channels=8,
            out_channels=SSTN_KEYPOINTS,
            num_stages=2,
            num_units=4,
            norm_cfg=dict(type='BN'),
            level_indices=[0, 1, 2, 3] * 2,
            loss=[_MSE] * 8,
            decoder=_MSRA,
        ),
    ),
    cpn=dict(
        backbone=dict(RESNET, out_indices=(0, 1, 2, 3)),
        head=dict(
            type='CPNHead',
            in_channels=[8, 16, 32, 64],
            out_channels=SSTN_KEYPOINTS,
            feat_channels=16,
            loss=dict(type='OHKMMSELoss', use_target_weight=True, topk=3),
            decoder=_CPN,
        ),
    ),
)
# Number of targets of the models with multilevel targets.
SPPE_TARGETS = dict(mspn=4, cpn=5)


def build_sstn(sppe: str | dict, **kwargs) -> tuple[nn.Module, nn.Module]:
    """Build an SSTN and the estimator without it, with the same weights.

    Args:
        sppe (str | dict): Name in :data:`SPPES`, or configs of backbone, neck and head.
        kwargs: Arguments of the SSTN. ``test_cfg`` is for both.
    """
    settings = deepcopy(SPPES[sppe] if isinstance(sppe, str) else sppe)
    test_cfg = dict(flip_test=False, shift_heatmap=False)
    settings['data_preprocessor'] = dict(type='PoseDataPreprocessor')
    settings['test_cfg'] = dict(test_cfg, **kwargs.pop('test_cfg', {}))
    torch.manual_seed(0)
    plain = MODELS.build(dict(settings, type='TopdownPoseEstimator'))
    sstn = MODELS.build(dict(settings, type='SSTNPoseEstimator', stn=STN, **kwargs))
    incompatible = sstn.load_state_dict(plain.state_dict(), strict=False)
    assert not incompatible.unexpected_keys
    assert all(key.startswith('stn.') for key in incompatible.missing_keys)
    return sstn, plain


def set_stn_bias(sstn: nn.Module, *outputs: float) -> None:
    """Make the first outputs of the STN constant; without bounds, entries of theta."""
    sstn.stn.fc.bias.data[: len(outputs)] = torch.tensor(outputs)


def sstn_samples(sppe: str, batch: int = 2) -> list[PoseDataSample]:
    """Samples with everything that an SSTN of :func:`build_sstn` uses."""
    samples = []
    for i in range(batch):
        sample = _sstn_target(sppe, seed=i)
        sample.centred = _sstn_target(sppe, seed=10 + i)
        sample.theta_gt = torch.eye(2, 3) * 0.9
        sample.gt_instances = InstanceData(
            bboxes=np.array([[10.0, 10, 50, 80]]), bbox_scores=np.ones(1)
        )
        sample.set_metainfo(
            dict(
                flip_indices=[0, 2, 1, 4, 3],
                input_size=(64, 96),
                input_center=np.array([30.0, 45]),
                input_scale=np.array([60.0, 80]),
            )
        )
        samples.append(sample)
    return samples


def _sstn_target(sppe: str, seed: int) -> PoseDataSample:
    """Random targets in the form that the model's head needs."""
    torch.manual_seed(seed)
    num_targets = SPPE_TARGETS.get(sppe, 1)
    heatmaps = torch.rand(num_targets, SSTN_KEYPOINTS, 24, 16)
    weights = (torch.rand(num_targets, 1, SSTN_KEYPOINTS) > 0.3).float()
    if sppe in SPPE_TARGETS:
        return pose_data_sample(heatmaps, weights)
    return pose_data_sample(heatmaps[0], weights[0])


def sstn_crops(batch: int = 2) -> Tensor:
    """Smooth random crops (B, 3, 96, 64)."""
    x = torch.rand(batch, 3, *SSTN_INPUT, generator=torch.manual_seed(3))
    return F.avg_pool2d(x, 5, stride=1, padding=2)
