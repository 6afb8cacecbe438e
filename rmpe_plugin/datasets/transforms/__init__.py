# SPDX-License-Identifier: Apache-2.0
from .centred_target import GenerateCentredTarget, PackSSTNInputs
from .cpn_crop import CPNBBoxCenterScale
from .ground_truth_window import GroundTruthWindow, KeepGroundTruthBox
from .pose_guided_proposal import PoseGuidedProposal
from .random_channel_gain import RandomChannelGain
from .visibility import RawVisibility
from .whole_image import LoadWholeImage

__all__ = [
    'CPNBBoxCenterScale',
    'GenerateCentredTarget',
    'GroundTruthWindow',
    'KeepGroundTruthBox',
    'LoadWholeImage',
    'PackSSTNInputs',
    'PoseGuidedProposal',
    'RandomChannelGain',
    'RawVisibility',
]
