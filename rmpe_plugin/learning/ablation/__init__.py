# SPDX-License-Identifier: Apache-2.0
"""The ablations of RMPE and CPN on a synthetic crowd."""

from .configs import AblationFiles, build_test_config, build_training_config
from .plan import SIZES, TABLES, TRAININGS, Row, Size, Training
from .runner import Ablation, Job, launch
from .tables import HEADINGS, agreement, table_lines, to_markdown

__all__ = [
    'HEADINGS',
    'SIZES',
    'TABLES',
    'TRAININGS',
    'Ablation',
    'AblationFiles',
    'Job',
    'Row',
    'Size',
    'Training',
    'agreement',
    'launch',
    'table_lines',
    'build_test_config',
    'to_markdown',
    'build_training_config',
]
