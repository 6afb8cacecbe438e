# SPDX-License-Identifier: Apache-2.0
from .cpn_crop import CPNBBoxCenterScale
from .ground_truth_window import GroundTruthWindow, SSTNBBoxCenterScale
from .intact_image import LoadIntactImage
from .pose_guided_proposal import PoseGuidedProposal
from .random_channel_gain import RandomChannelGain
from .sstn_pipeline import check_sstn_pipeline
from .sstn_targets import GenerateSSTNTarget, PackSSTNInputs
from .visibility import RawVisibility

__all__ = [
    'CPNBBoxCenterScale',
    'GenerateSSTNTarget',
    'GroundTruthWindow',
    'LoadIntactImage',
    'PackSSTNInputs',
    'PoseGuidedProposal',
    'RandomChannelGain',
    'RawVisibility',
    'SSTNBBoxCenterScale',
    'check_sstn_pipeline',
]
