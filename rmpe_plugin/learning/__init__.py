# SPDX-License-Identifier: Apache-2.0
"""Fit proposal models, search pose NMS parameters and run experiments.

The modules are imported one by one: some need the extra ``learn``.
"""
