# SPDX-License-Identifier: Apache-2.0
from .centred_target import GenerateCentredTarget, PackSSTNInputs
from .cpn_crop import CPNBBoxCenterScale
from .ground_truth_window import GroundTruthWindow, KeepGroundTruthBox
from .intact_image import LoadIntactImage
from .pose_guided_proposal import PoseGuidedProposal
from .random_channel_gain import RandomChannelGain
from .visibility import RawVisibility

__all__ = [
    'CPNBBoxCenterScale',
    'GenerateCentredTarget',
    'GroundTruthWindow',
    'KeepGroundTruthBox',
    'LoadIntactImage',
    'PackSSTNInputs',
    'PoseGuidedProposal',
    'RandomChannelGain',
    'RawVisibility',
]
