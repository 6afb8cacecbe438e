# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Sequence
from typing import TypeAlias

from mmpose.models.heads.base_head import BaseHead
from mmpose.utils.typing import ConfigType
from torch import Tensor

from rmpe_plugin.ops import at_least_float32

# One tensor (B, K, H, W), or a list or tuple of stages, levels or both.
Heatmaps: TypeAlias = Tensor | list['Heatmaps'] | tuple['Heatmaps', ...]


def map_heatmaps(function: Callable[[Tensor], Tensor], heatmaps: Heatmaps) -> Heatmaps:
    """Apply a function to each tensor.

    Args:
        function (Callable): The function.
        heatmaps (Tensor | list | tuple): Heatmaps (B, K, H, W), or nested lists or
            tuples of them.

    Returns:
        Tensor | list | tuple: The results in the structure of the input.
    """
    if isinstance(heatmaps, (list, tuple)):
        return type(heatmaps)(map_heatmaps(function, maps) for maps in heatmaps)
    return function(heatmaps)


def float32_heatmaps(heatmaps: Heatmaps) -> Heatmaps:
    """Convert heatmaps in half precision to float32.

    MMPose's heads convert heatmaps to NumPy, which has no bfloat16.

    Args:
        heatmaps (Tensor | list | tuple): Heatmaps (B, K, H, W), or nested lists or
            tuples of them.

    Returns:
        Tensor | list | tuple: Heatmaps in the structure of the input.
    """
    return map_heatmaps(at_least_float32, heatmaps)


def return_float32(head: BaseHead) -> None:
    """Make a head return float32 heatmaps under autocast.

    ``del head.forward`` undoes it.

    Args:
        head (BaseHead): A head whose ``loss`` and ``predict`` call ``self.forward``,
            as those of MMPose do. Changed in place.
    """
    forward = head.forward
    head.forward = lambda *args, **kwargs: float32_heatmaps(forward(*args, **kwargs))


def decoded_heatmaps(
    head: BaseHead, feats: Sequence[Tensor], test_cfg: ConfigType
) -> Heatmaps:
    """Predict heatmaps in a test, without stages that are not decoded.

    Args:
        head (BaseHead): A head. Its method ``test_stage``, if it has one as
            :class:`CPNHead`, selects the stage that ``forward`` computes; all stages of
            other heads are computed.
        feats (Sequence[Tensor]): Features of the backbone or neck.
        test_cfg (dict): ``test_cfg`` of the model.

    Returns:
        Tensor | list | tuple: Heatmaps, of which :func:`last_stage` is decoded.
    """
    if not hasattr(head, 'test_stage'):
        return head.forward(feats)
    return head.forward(feats, head.test_stage(test_cfg))


def last_stage(heatmaps: Heatmaps) -> Tensor:
    """Return the heatmaps (B, K, H, W) of the last of several stages or levels."""
    return heatmaps if isinstance(heatmaps, Tensor) else heatmaps[-1]
