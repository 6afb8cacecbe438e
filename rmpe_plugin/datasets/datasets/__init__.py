# SPDX-License-Identifier: Apache-2.0
from .body import CheckedCocoDataset

__all__ = ['CheckedCocoDataset']
