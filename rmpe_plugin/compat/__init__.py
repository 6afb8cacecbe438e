# SPDX-License-Identifier: Apache-2.0
"""Compiled modules of other packages, replaced by wheels that exist."""
