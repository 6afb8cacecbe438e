# SPDX-License-Identifier: Apache-2.0
"""Heatmaps, their losses and decoding (CPN)."""
