# Copyright (c) RMPE plugin authors. All rights reserved.
"""Version of the package."""

__version__ = '0.1.0'
