# SPDX-License-Identifier: Apache-2.0
"""Targets in the frame of the windows, for heads whose outputs cannot be warped."""

import torch
from mmengine.structures import InstanceData
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.structures import PoseDataSample
from mmpose.utils.typing import SampleList
from torch import Tensor

from rmpe_plugin.ops import invert_affine, transform_points


@torch.no_grad()
def window_targets(
    codec: BaseKeypointCodec,
    data_samples: SampleList,
    theta: Tensor,
    size: tuple[int, int],
) -> PoseDataSample:
    """Encode the keypoints of a batch in the frame of each sample's window.

    Args:
        codec (BaseKeypointCodec): ``SimCCLabel`` or ``RegressionLabel``.
        data_samples (list[PoseDataSample]): B samples with ``crop_keypoints``
            (1, K, 2), pixels of the crop, and ``keypoint_weights`` (1, K), which are 0
            for keypoints that the codec cannot represent in the crop: outside of it the
            window is black.
        theta (Tensor): Windows (B, 2, 3).
        size (tuple[int, int]): Size (H, W) of the crop and of the warped image.

    Returns:
        PoseDataSample: One sample with the labels of all B people, on the device of
        theta. Keypoints outside of their window have the weight 0 if the codec cannot
        represent them.

    Raises:
        ValueError: If samples lack ``crop_keypoints``.
    """
    if 'crop_keypoints' not in data_samples[0]:
        raise ValueError(
            'an SSTN with a head without heatmaps needs the keypoints of the crop: put '
            'GenerateSSTNTarget and PackSSTNInputs into the pipeline'
        )
    keypoints = torch.cat([sample.crop_keypoints for sample in data_samples])
    weights = torch.cat([s.gt_instance_labels.keypoint_weights for s in data_samples])
    # Unlabelled keypoints may be NaN.
    keypoints = keypoints.where(weights[..., None] > 0, 0).to(theta)
    in_window = transform_points(keypoints, invert_affine(theta), size, size)
    encoded = codec.encode(in_window.cpu().numpy(), (weights > 0).float().cpu().numpy())
    labels = InstanceData(
        **{
            codec.label_mapping_table[name]: torch.from_numpy(array).to(theta.device)
            for name, array in encoded.items()
        }
    )
    labels.keypoint_weights = labels.keypoint_weights * weights
    return PoseDataSample(gt_instance_labels=labels)
