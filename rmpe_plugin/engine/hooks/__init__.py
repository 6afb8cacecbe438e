# SPDX-License-Identifier: Apache-2.0
from .atomic_checkpoint_hook import AtomicCheckpointHook, WholeFileBackend
from .channels_last_hook import ChannelsLastHook
from .epoch_seed_hook import EpochSeedHook
from .finetune_hook import FinetuneHook
from .parallel_sppe_hook import ParallelSPPEHook
from .sstn_pipeline_hook import SSTNPipelineHook
from .stage_visualization_hook import StageVisualizationHook

__all__ = [
    'ChannelsLastHook',
    'EpochSeedHook',
    'FinetuneHook',
    'ParallelSPPEHook',
    'SSTNPipelineHook',
    'StageVisualizationHook',
    'AtomicCheckpointHook',
    'WholeFileBackend',
]
