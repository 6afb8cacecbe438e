# SPDX-License-Identifier: Apache-2.0
"""Similarity of poses, average precision and types of errors."""
