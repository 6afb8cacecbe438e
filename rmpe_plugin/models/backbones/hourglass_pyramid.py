# SPDX-License-Identifier: Apache-2.0
from mmpose.models.backbones.hourglass import HourglassModule, HourglassNet
from mmpose.registry import MODELS
from torch import Tensor


def _decoder_levels(module: HourglassModule, x: Tensor) -> list[Tensor]:
    """Run an hourglass; return its decoder's sums and its bottom, fine to coarse."""
    low = module.low1(x)
    if module.depth > 1:
        inner = _decoder_levels(module.low2, low)
    else:
        inner = [module.low2(low)]
    return [module.up1(x) + module.up2(module.low3(inner[0])), *inner]


@MODELS.register_module()
class HourglassPyramid(HourglassNet):
    """Hourglass of MMPose that returns the levels of its last stack as a pyramid.

    ``HourglassNet`` returns one feature map per stack, all at stride 4. This class
    returns four at strides 4, 8, 16 and 32: the output of the last stack and the sums
    inside its decoder. Parameters have the names of ``HourglassNet``, so its
    checkpoints load unchanged.

    Args:
        downsample_times (int): Depth of an hourglass. The input size must be a multiple
            of 4 * 2^downsample_times: use 4 for 256x192 and 3 for 384x288. Defaults
            to 5.
        kwargs: As :class:`mmpose.models.HourglassNet`'s. With the default widths the
            pyramid has 256, 256, 384 and 384 channels.

    Raises:
        ValueError: If ``downsample_times`` is below 3 (an hourglass has one level more
            than its depth), or in :meth:`forward` if the input size is not a multiple
            of 4 * 2^downsample_times.
    """

    num_levels = 4

    def __init__(self, downsample_times: int = 5, **kwargs) -> None:
        if downsample_times + 1 < self.num_levels:
            raise ValueError(
                f'backbone.downsample_times must be at least {self.num_levels - 1} for '
                f'a pyramid of {self.num_levels} levels, got {downsample_times}'
            )
        super().__init__(downsample_times=downsample_times, **kwargs)
        self.stride = 4 * 2**downsample_times
        if self.num_stacks == 1:
            # MMPose builds an unused block after the only stack. DDP raises for
            # trainable parameters without a gradient.
            self.inters.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature pyramid.

        Args:
            x (Tensor): Images (B, 3, h, w).

        Returns:
            tuple[Tensor, ...]: Features (B, C_i, h / s, w / s) at strides s = 4, 8, 16
            and 32.
        """
        height, width = x.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f'the input size must be a multiple of {self.stride} '
                f'(4 * 2^backbone.downsample_times), got {height}x{width}'
            )
        x = self.stem(x)
        for i in range(self.num_stacks):
            levels = _decoder_levels(self.hourglass_modules[i], x)
            out = self.out_convs[i](levels[0])
            if i < self.num_stacks - 1:
                x = self.conv1x1s[i](x) + self.remap_convs[i](out)
                x = self.inters[i](self.relu(x))
        return (out, *levels[1 : self.num_levels])
