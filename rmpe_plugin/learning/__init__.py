# SPDX-License-Identifier: Apache-2.0
"""Fitting proposal models, searching pose NMS parameters, running experiments."""
