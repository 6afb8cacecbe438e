# SPDX-License-Identifier: Apache-2.0
"""The command ``rmpe check``, for those who look for a script."""

import runpy
from pathlib import Path

# The configs and tools of a wheel are in rmpe_plugin/.mim.
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT.parent if ROOT.name == '.mim' else ROOT / 'rmpe_plugin'

if __name__ == '__main__':
    # By its path, because `import rmpe_plugin` raises if the OpenMMLab stack is broken.
    runpy.run_path(str(PACKAGE / 'cli' / 'check.py'), run_name='__main__')
