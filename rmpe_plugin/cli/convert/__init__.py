# SPDX-License-Identifier: Apache-2.0
"""Conversion of annotations and checkpoints of other projects."""
