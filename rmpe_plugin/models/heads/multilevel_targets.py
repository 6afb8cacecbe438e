# SPDX-License-Identifier: Apache-2.0
import torch
from mmpose.structures import PoseDataSample
from mmpose.utils.typing import SampleList
from torch import Tensor

from rmpe_plugin.ops import render_targets


def stack_targets(
    batch_data_samples: SampleList, num_targets: int
) -> tuple[list[Tensor], Tensor]:
    """Stack the multilevel targets of a batch, one person per sample.

    Args:
        batch_data_samples (list[PoseDataSample]): Samples from ``GenerateTarget`` with
            ``multilevel=True``.
        num_targets (int): Number of targets T of each sample.

    Returns:
        tuple[list[Tensor], Tensor]: T targets (B, K, H, W), and weights (T, B, K).

    Raises:
        ValueError: If the samples have another number of targets.
    """
    got = _count_targets(batch_data_samples[0])
    if got != num_targets:
        raise ValueError(
            f'the pipeline makes {got} targets, the head needs {num_targets}: '
            f'GenerateTarget.encoder must list one codec for each of the '
            f'{num_targets - 1} levels and one for RefineNet, with multilevel=True'
        )
    labels = [sample.gt_instance_labels for sample in batch_data_samples]
    if 'target_rows' in labels[0]:
        rows, columns = (
            torch.stack([label[name] for label in labels], dim=1).squeeze(2)
            for name in ('target_rows', 'target_columns')
        )  # (T, B, K, H) and (T, B, K, W)
        targets = list(render_targets(rows, columns))
    else:
        targets = [
            torch.stack([sample.gt_fields[i].heatmaps for sample in batch_data_samples])
            for i in range(num_targets)
        ]
    # MMPose packs multilevel weights as (T, 1, K) or (1, T, K). A sample is one person,
    # so both have the same elements in the same order.
    weights = [label.keypoint_weights.reshape(num_targets, -1) for label in labels]
    return targets, torch.stack(weights, dim=1)


def _count_targets(sample: PoseDataSample) -> int:
    """Number of targets of a sample."""
    if 'target_rows' in sample.gt_instance_labels:
        return len(sample.gt_instance_labels.target_rows)
    # The target of a single codec is PixelData, which has no nlevel.
    return getattr(sample.gt_fields, 'nlevel', 1)
