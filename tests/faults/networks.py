# SPDX-License-Identifier: Apache-2.0
"""Narrow versions of the quickstart's networks, for tests that need no accuracy."""


def make_narrow(model):
    """Reduce the width of a network to a third.

    Args:
        model (ConfigDict): ``model`` of a quickstart config. Modified in place.
    """
    width = dict(base_channels=8, stem_channels=8)
    model.backbone.update(width)
    model.head.update(in_channels=[8, 16, 32, 64], feat_channels=16)
    if 'stn' in model:
        model.stn.backbone.update(width)
        model.stn.in_channels = 64
