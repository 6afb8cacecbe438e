# SPDX-License-Identifier: Apache-2.0
from .channels_last_hook import ChannelsLastHook
from .epoch_seed_hook import EpochSeedHook
from .finetune_hook import FinetuneHook
from .parallel_sppe_hook import ParallelSPPEHook
from .stage_visualization_hook import StageVisualizationHook
from .whole_checkpoint_hook import WholeCheckpointHook, WholeFileBackend

__all__ = [
    'ChannelsLastHook',
    'EpochSeedHook',
    'FinetuneHook',
    'ParallelSPPEHook',
    'StageVisualizationHook',
    'WholeCheckpointHook',
    'WholeFileBackend',
]
