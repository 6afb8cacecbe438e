# SPDX-License-Identifier: Apache-2.0
"""Kinds of heads by what they predict."""

from mmpose.models.heads import (
    CPMHead,
    HeatmapHead,
    MSPNHead,
    RegressionHead,
    RLEHead,
    RTMCCHead,
    SimCCHead,
)
from mmpose.models.heads.base_head import BaseHead

from .cpn_head import CPNHead

HEATMAP_HEADS = (CPNHead, HeatmapHead, CPMHead, MSPNHead)
SIMCC_HEADS = (SimCCHead, RTMCCHead)
REGRESSION_HEADS = (RegressionHead, RLEHead)


def predicts_heatmaps(head: BaseHead) -> bool:
    """Whether a head is known to predict heatmaps."""
    return isinstance(head, HEATMAP_HEADS)


def predicts_coordinates(head: BaseHead) -> bool:
    """Whether a head is known to predict SimCC vectors or coordinates."""
    return isinstance(head, SIMCC_HEADS + REGRESSION_HEADS)
