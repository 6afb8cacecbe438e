# SPDX-License-Identifier: Apache-2.0
"""Components of the study's configs."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS, MODELS
from torch import Tensor, nn


@MODELS.register_module()
class FixedWindow(nn.Module):
    """In place of a :class:`SpatialTransformer`: the same window for all crops.

    Args:
        theta (Sequence[Sequence[float]]): The window (2, 3).
    """

    def __init__(self, theta: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.register_buffer('theta', torch.tensor(theta), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the window for each crop.

        Args:
            x (Tensor): Crops (B, 3, h, w).

        Returns:
            Tensor: theta (B, 2, 3).
        """
        return self.theta.expand(len(x), -1, -1)


@METRICS.register_module()
class SampleWriter(BaseMetric):
    """Writes the pose and the window of every box to an NPZ file.

    The file has ``ids``, the indices (N,) of the boxes in ``bbox_file``, in ascending
    order, ``keypoints`` (N, K, 2), ``scores`` (N, K), and ``theta`` (N, 2, 3), NaN
    without an STN.

    Args:
        outfile_prefix (str): The file without the suffix ``.npz``.
        kwargs: As ``mmengine.evaluator.BaseMetric``'s.
    """

    default_prefix = 'samples'

    def __init__(self, outfile_prefix: str = 'samples', **kwargs) -> None:
        super().__init__(**kwargs)
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the predictions of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Samples with predictions.
        """
        for sample in data_samples:
            pose = sample['pred_instances']
            theta = pose.get('theta', np.full((1, 2, 3), np.nan))
            self.results.append(
                dict(
                    ids=sample['id'],
                    keypoints=pose['keypoints'][0],
                    scores=pose['keypoint_scores'][0],
                    theta=theta[0],
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict:
        """Write the file.

        Args:
            results (list[dict]): Predictions of all samples.

        Returns:
            dict: Nothing.
        """
        results = sorted(results, key=lambda result: result['ids'])
        np.savez(
            f'{self.outfile_prefix}.npz',
            **{key: np.stack([r[key] for r in results]) for key in results[0]},
        )
        return {}
