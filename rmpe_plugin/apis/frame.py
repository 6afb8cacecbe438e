# SPDX-License-Identifier: Apache-2.0
"""Frames under the name that scripts import; the code is in ``inference``."""

from rmpe_plugin.inference.frame import Frame, image_id_of, read_image

__all__ = ['Frame', 'image_id_of', 'read_image']
