# SPDX-License-Identifier: Apache-2.0
"""The ablations of RMPE and CPN on groups of synthetic people."""

from .comparison import METRICS, Change, RowResult, TableResult, compare_rows
from .configs import (
    AblationFiles,
    build_detector_config,
    build_test_config,
    build_training_config,
)
from .plan import (
    FULL_MODEL,
    INITIALISATION,
    SIZES,
    TABLES,
    TRAININGS,
    ComparisonTable,
    Row,
    Size,
    Training,
)
from .runner import Ablation, Job, launch
from .tables import agreement, headings, table_lines, to_markdown

__all__ = [
    'FULL_MODEL',
    'INITIALISATION',
    'METRICS',
    'SIZES',
    'TABLES',
    'TRAININGS',
    'Ablation',
    'AblationFiles',
    'Change',
    'ComparisonTable',
    'Job',
    'Row',
    'RowResult',
    'Size',
    'TableResult',
    'Training',
    'agreement',
    'build_detector_config',
    'build_test_config',
    'build_training_config',
    'compare_rows',
    'headings',
    'launch',
    'table_lines',
    'to_markdown',
]
