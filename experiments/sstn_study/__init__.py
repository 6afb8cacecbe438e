# SPDX-License-Identifier: Apache-2.0
"""When the spatial transformer of RMPE pays: box qualities, and its alternatives."""
