# SPDX-License-Identifier: Apache-2.0
"""The command ``rmpe convert h36m``, for those who look for a script."""

import sys

from rmpe_plugin.cli.convert.h36m import main

if __name__ == '__main__':
    sys.exit(main())
