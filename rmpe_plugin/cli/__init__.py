# SPDX-License-Identifier: Apache-2.0
"""The commands of ``rmpe``, one module each, with a function ``main``."""
