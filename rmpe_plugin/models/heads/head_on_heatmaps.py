# SPDX-License-Identifier: Apache-2.0
from copy import copy
from typing import TypeVar

from mmpose.models.heads.base_head import BaseHead

T = TypeVar('T')


def _identity(heatmaps: T, *args, **kwargs) -> T:
    return heatmaps


def head_on_heatmaps(head: BaseHead) -> BaseHead:
    """Make a view of a head whose ``loss`` and ``predict`` take heatmaps.

    MMPose's heads compute heatmaps from features with ``self.forward``, inside ``loss``
    and ``predict``. In the view ``forward`` returns its input, so heatmaps that are
    computed already (and changed, for example warped) are passed in place of features.

    Args:
        head (BaseHead): A head whose ``loss`` and ``predict`` use the features only to
            call ``self.forward``, as ``HeatmapHead``, ``CPMHead``, ``MSPNHead`` and
            ``CPNHead`` do. It is not changed.

    Returns:
        BaseHead: A shallow copy. It shares parameters, buffers and submodules with
        ``head``.
    """
    view = copy(head)
    view.forward = _identity
    return view
