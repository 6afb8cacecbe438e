# SPDX-License-Identifier: Apache-2.0
from .sstn import SSTNPoseEstimator

__all__ = ['SSTNPoseEstimator']
