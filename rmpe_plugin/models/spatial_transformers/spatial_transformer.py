# SPDX-License-Identifier: Apache-2.0
import logging

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, OptConfigType
from torch import Tensor, nn

from rmpe_plugin.ops import identity_affine

# What each number of a form may do; the order is the last layer's.
FORMS = {
    'affine': ('scale', 'shear', 'shift', 'shear', 'scale', 'shift'),
    'similarity': ('scale', 'shear', 'shift', 'shift'),
    'translation-scale': ('scale', 'shift', 'shift'),
}


@MODELS.register_module()
class SpatialTransformer(BaseModule):
    """The STN's localisation network: it looks at a crop and chooses a window of it.

    A backbone, average pooling to a coarse grid and one linear layer whose weights
    start at zero, so that training starts at the identity. RMPE paper, section 3.1.

    A number r of the linear layer moves its entry of theta by ``b * tanh(r / b)``
    from the identity, ``b`` being one of the bounds below: almost r near the identity,
    and never more than b. With the default bounds a window is 0.5 to 1.5 times as wide
    as the crop, its middle within a quarter of the crop's width from the crop's, and
    theta's determinant at least 0.1875, so that it can always be inverted.

    Args:
        backbone (dict): Any MMPose backbone; its last output is used. Defaults to a
            ResNet-18 of half the width. The RMPE authors' is a ResNet-18.
        in_channels (int): Channels of the backbone's last output. Defaults to 256.
        downscale (int): Whole factor by which the crop is shrunk before. Defaults
            to 2.
        pool_size (int): Rows and columns of the grid that the linear layer sees; 1
            pools globally, as the RMPE authors do. Defaults to 4.
        form (str): ``'affine'``: the paper's six numbers. ``'similarity'``: scale,
            rotation and shift, in pixels of the crop. ``'translation-scale'``: one
            scale for both axes and shift. Defaults to ``'affine'``.
        max_scale (float): Bound of the diagonal's distance from 1. Defaults to 0.5.
        max_shear (float): Bound of the entries off the diagonal; for a similarity, of
            the sine times the scale. Defaults to 0.25.
        max_shift (float): Bound of the shift, normalised coordinates. Defaults to
            0.5.
        init_cfg (dict, optional): Initialisation. Defaults to ``None``.

    Raises:
        ValueError: If ``form`` is unknown, a bound is not positive or the bounds allow
            a theta without an inverse; in use, for features that do not fit.
        RuntimeError: In training, if a number of the linear layer is not finite. (On
            CUDA at one of the next synchronisations: nothing waits for this check.)
            At test such a sample gets the identity, which is logged once.
    """

    def __init__(
        self,
        backbone: ConfigType = dict(  # noqa: B006
            type='ResNet',
            depth=18,
            stem_channels=32,
            base_channels=32,
            out_indices=(3,),
        ),
        in_channels: int = 256,
        downscale: int = 2,
        pool_size: int = 4,
        form: str = 'affine',
        max_scale: float = 0.5,
        max_shear: float = 0.25,
        max_shift: float = 0.5,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(init_cfg)
        if form not in FORMS:
            raise ValueError(f'stn.form must be one of {tuple(FORMS)}, got {form!r}')
        bounds = dict(scale=max_scale, shear=max_shear, shift=max_shift)
        if min(bounds.values()) <= 0 or max_scale + max_shear >= 1:
            raise ValueError(
                'stn.max_scale, max_shear and max_shift must be positive, and '
                'max_scale + max_shear below 1 so that theta has an inverse, got '
                f'{max_scale}, {max_shear} and {max_shift}'
            )
        self.in_channels = in_channels
        self.form = form
        self.shrink = nn.AvgPool2d(downscale)
        self.backbone = MODELS.build(backbone)
        self.pool = nn.AdaptiveAvgPool2d(pool_size)
        self.fc = nn.Linear(in_channels * pool_size**2, len(FORMS[form]))
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        self.register_buffer(
            'bounds',
            torch.tensor([bounds[kind] for kind in FORMS[form]]),
            persistent=False,
        )
        self._warned = False

    def _localise(self, x: Tensor) -> Tensor:
        """The linear layer's numbers (B, P) for crops (B, 3, h, w)."""
        feats = self.backbone(self.shrink(x))[-1]
        if feats.shape[1] != self.in_channels:
            raise ValueError(
                f'stn.backbone gives {feats.shape[1]} channels, stn.in_channels is '
                f'{self.in_channels}'
            )
        pooled = self.pool(feats).flatten(1)
        # Half precision would move the window by a tenth of a pixel.
        with torch.autocast(x.device.type, enabled=False):
            return self.fc(pooled.to(self.fc.weight.dtype))

    def _theta(self, numbers: Tensor, size: tuple[int, int]) -> Tensor:
        """Arrange bounded numbers (B, P) as theta (B, 2, 3)."""
        if self.form == 'affine':
            offset = numbers.view(-1, 2, 3)
        else:
            if self.form == 'similarity':
                scale, turn, x, y = numbers.unbind(dim=1)
            else:
                scale, x, y = numbers.unbind(dim=1)
                turn = torch.zeros_like(scale)
            # A turn by pixels, written in coordinates normalised by either side.
            ratio = (size[0] - 1) / (size[1] - 1)
            entries = (scale, -turn * ratio, x, turn / ratio, scale, y)
            offset = torch.stack(entries, dim=1).view(-1, 2, 3)
        return identity_affine(offset) + offset

    def forward(self, x: Tensor) -> Tensor:
        """Choose the windows.

        Args:
            x (Tensor): Crops (B, 3, h, w).

        Returns:
            Tensor: theta (B, 2, 3), see :mod:`rmpe_plugin.ops.affine`.
        """
        numbers = self._localise(x)
        finite = numbers.isfinite().all(dim=1)
        theta = self._theta(
            self.bounds * torch.tanh(numbers / self.bounds), x.shape[-2:]
        )
        if self.training:
            torch._assert_async(
                finite.all(),
                'the spatial transformer predicts a theta that is not finite: the '
                'training diverged, or its input or weights are not finite',
            )
            return theta
        self._warn_once(finite)
        return torch.where(finite[:, None, None], theta, identity_affine(theta))

    def _warn_once(self, finite: Tensor) -> None:
        """Say that samples get the identity."""
        if self._warned or finite.all():
            return
        self._warned = True
        print_log(
            f'the spatial transformer predicts no finite theta for '
            f'{int((~finite).sum())} of {len(finite)} crops; such crops are taken as '
            'they are (said once)',
            logger='current',
            level=logging.WARNING,
        )
