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
from .tables import (
    WINDOW_HEADINGS,
    agreement,
    headings,
    table_lines,
    to_markdown,
    window_lines,
)

__all__ = [
    'FULL_MODEL',
    'GT_BOXES_ROW',
    'INITIALISATION',
    'RMPE_TABLE',
    'SIZES',
    'TABLES',
    'TRAININGS',
    'WINDOWS',
    'WINDOW_HEADINGS',
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
    'agreement',
    'build_detector_config',
    'build_test_config',
    'build_training_config',
    'build_window_config',
    'compare_rows',
    'headings',
    'launch',
    'run_settings',
    'table_lines',
    'to_markdown',
    'window_lines',
]
