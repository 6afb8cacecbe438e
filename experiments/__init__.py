# SPDX-License-Identifier: Apache-2.0
"""Programs that measure the methods: ablations, comparisons, benchmarks, quickstart.

They run from the root of a checkout, ``python -m experiments.NAME``, and are not
installed. Nothing in ``rmpe_plugin`` imports them.
"""
