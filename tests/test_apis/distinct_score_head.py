# SPDX-License-Identifier: Apache-2.0
"""A detection head whose ranking of boxes does not depend on rounding."""

import torch
from mmdet.models.dense_heads import RTMDetSepBNHead
from mmdet.registry import MODELS


@MODELS.register_module()
class DistinctScoreHead(RTMDetSepBNHead):
    """RTMDet's head with well-separated scores of its locations.

    Scores of an untrained detector are equal up to rounding in uniform regions of an
    image, so that their order differs between CPUs, numbers of threads and batch sizes.
    Here the locations have fixed logits in random order, evenly spaced between -3 and
    3. The image changes each of them by at most a quarter of the spacing.
    """

    def forward(self, feats):
        scores, boxes = super().forward(feats)
        number = sum(level[0, 0].numel() for level in scores)
        generator = torch.Generator().manual_seed(0)
        ranks = torch.randperm(number, generator=generator).to(scores[0])
        spacing = 6 / number
        separated = []
        for level in scores:
            size = level[0, 0].numel()
            level_ranks, ranks = ranks[:size], ranks[size:]
            fixed = (level_ranks * spacing - 3).view(level.shape[-2:])
            separated.append(fixed + 0.25 * spacing * level.tanh())
        return tuple(separated), boxes
