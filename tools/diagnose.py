# SPDX-License-Identifier: Apache-2.0
"""The command ``rmpe diagnose``, for those who look for a script."""

import sys

from rmpe_plugin.cli.diagnose import main

if __name__ == '__main__':
    sys.exit(main())
