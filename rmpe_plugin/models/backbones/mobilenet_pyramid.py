# SPDX-License-Identifier: Apache-2.0
from mmpose.models.backbones import MobileNetV2
from mmpose.registry import MODELS


@MODELS.register_module()
class MobileNetV2Pyramid(MobileNetV2):
    """MMPose's MobileNetV2 as a feature pyramid, without the layer of the classifier.

    The padding is that of TensorFlow (``SAME``), such that weights of TensorFlow give
    the same features, for example those of MoveNet.

    Args:
        widen_factor (float): Multiplier of the channels. Defaults to 1.0.
        out_indices (Sequence[int]): Indices of the layers whose output is a level.
            Defaults to (1, 2, 4, 6): strides 4, 8, 16 and 32.
        **kwargs: Arguments of MMPose's ``MobileNetV2``.
    """

    def __init__(
        self, widen_factor: float = 1.0, out_indices=(1, 2, 4, 6), **kwargs
    ) -> None:
        super().__init__(
            widen_factor,
            out_indices,
            conv_cfg=dict(type='Conv2dAdaptivePadding'),
            **kwargs,
        )
        # Its parameters would never get a gradient.
        self.layers.remove('conv2')
        del self.conv2

    def _freeze_stages(self) -> None:
        """Freeze stages, also the statistics of the first norm."""
        super()._freeze_stages()
        if self.frozen_stages >= 0:
            self.conv1.eval()
