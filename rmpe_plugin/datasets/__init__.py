# SPDX-License-Identifier: Apache-2.0
from . import datasets, transforms

__all__ = ['datasets', 'transforms']
