# SPDX-License-Identifier: Apache-2.0
"""The command ``rmpe convert cpn``, for those who look for a script."""

import sys

from rmpe_plugin.cli.convert.cpn import main

if __name__ == '__main__':
    sys.exit(main())
