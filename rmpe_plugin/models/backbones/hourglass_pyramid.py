# SPDX-License-Identifier: Apache-2.0
from mmpose.models.backbones.hourglass import HourglassModule, HourglassNet
from mmpose.registry import MODELS
from torch import Tensor


def _decoder_levels(module: HourglassModule, x: Tensor) -> list[Tensor]:
    """Run an hourglass; give its bottom and the sums above it, fine to coarse."""
    low = module.low1(x)
    if module.depth > 1:
        inner = _decoder_levels(module.low2, low)
    else:
        inner = [module.low2(low)]
    return [module.up1(x) + module.up2(module.low3(inner[0])), *inner]


@MODELS.register_module()
class HourglassPyramid(HourglassNet):
    """MMPose's Hourglass, giving the inner levels of its last stack as a pyramid.

    ``HourglassNet`` gives one map a stack, all at stride 4. This one gives four maps
    at strides 4, 8, 16 and 32: the last stack's output and the sums inside its
    decoder. Parameters and their names are ``HourglassNet``'s, so its checkpoints
    load unchanged.

    Args:
        kwargs: As :class:`mmpose.models.HourglassNet`'s. With the default widths the
            pyramid has 256, 256, 384 and 384 channels, and with the default
            ``downsample_times=5`` input sizes must be multiples of 128; 4 fits
            256x192, 3 fits 384x288.

    Raises:
        ValueError: If ``downsample_times`` is below 3 (the pyramid has four levels
            and the hourglass one more than its depth), or in :meth:`forward` if the
            input does not divide by 4 * 2^downsample_times.
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
            # MMPose builds a block between stacks here too. Nothing uses it, and a
            # trainable parameter without a gradient would stop distributed training.
            self.inters.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Give the pyramid.

        Args:
            x (Tensor): Images (B, 3, h, w).

        Returns:
            tuple[Tensor, ...]: Four maps, fine to coarse, at strides 4 to 32.
        """
        height, width = x.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f'the Hourglass needs inputs that divide by {self.stride} '
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
