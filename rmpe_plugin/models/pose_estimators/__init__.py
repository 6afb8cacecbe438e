# SPDX-License-Identifier: Apache-2.0
from .parallel_sppe import ParallelSPPE
from .sstn import SSTNPoseEstimator

__all__ = ['ParallelSPPE', 'SSTNPoseEstimator']
