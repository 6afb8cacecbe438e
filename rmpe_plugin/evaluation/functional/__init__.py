# SPDX-License-Identifier: Apache-2.0
from .box_ap import person_box_ap

__all__ = ['person_box_ap']
