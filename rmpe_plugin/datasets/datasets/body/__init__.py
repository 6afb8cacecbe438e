# SPDX-License-Identifier: Apache-2.0
from .checked_coco_dataset import CheckedCocoDataset

__all__ = ['CheckedCocoDataset']
