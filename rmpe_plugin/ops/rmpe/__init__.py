# SPDX-License-Identifier: Apache-2.0
"""Affine transforms, pose NMS and proposal models (RMPE)."""
