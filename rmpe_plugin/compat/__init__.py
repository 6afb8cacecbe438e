# SPDX-License-Identifier: Apache-2.0
"""Operators that a compiled mmcv has, on torchvision. See ``rmpe operators``."""
