# SPDX-License-Identifier: Apache-2.0
"""The ablations of RMPE and CPN on groups of synthetic people."""

from .comparison import Change, MatchedPoses, RowResult, TableResult, compare_rows
from .configs import (
    AblationFiles,
    build_detector_config,
    build_test_config,
    build_training_config,
    build_window_config,
)
from .plan import (
    FULL_MODEL,
    GT_BOXES_ROW,
    INITIALISATION,
    RMPE_TABLE,
    SIZES,
    TABLES,
    TRAININGS,
    WINDOWS,
    ComparisonTable,
    Row,
    Size,
    Training,
)
from .runner import Ablation, Job, launch, run_settings
from .tables import Windows, agreement, format_tables, to_markdown

__all__ = [
    'FULL_MODEL',
    'GT_BOXES_ROW',
    'INITIALISATION',
    'RMPE_TABLE',
    'SIZES',
    'TABLES',
    'TRAININGS',
    'WINDOWS',
    'Ablation',
    'AblationFiles',
    'Change',
    'ComparisonTable',
    'Job',
    'MatchedPoses',
    'Row',
    'RowResult',
    'Size',
    'TableResult',
    'Training',
    'Windows',
    'agreement',
    'build_detector_config',
    'build_test_config',
    'build_training_config',
    'build_window_config',
    'compare_rows',
    'format_tables',
    'launch',
    'run_settings',
    'to_markdown',
]
