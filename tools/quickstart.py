# SPDX-License-Identifier: Apache-2.0
"""Train a small CPN and a small person detector on synthetic people, test and draw.

Writes to data/synthetic_people, work_dirs/quickstart and work_dirs/detector. A run that
was interrupted continues where it stopped.

Example:
    bash tools/quickstart.sh
"""

import sys
from pathlib import Path

from rmpe_plugin.learning.quickstart import run
from rmpe_plugin.learning.stage_program import main

if __name__ == '__main__':
    sys.exit(main(__doc__, run, Path(__file__).resolve().parents[1]))
