# SPDX-License-Identifier: Apache-2.0
"""The command ``rmpe tune-nms``, for those who look for a script."""

import sys

from rmpe_plugin.cli.tune_nms import main

if __name__ == '__main__':
    sys.exit(main())
