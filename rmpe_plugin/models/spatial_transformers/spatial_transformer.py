# SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, OptConfigType
from torch import Tensor, nn

from rmpe_plugin.ops import at_least_float32, grid_average_pool, identity_affine

# Kinds of a form's parameters, in the order of the linear layer's outputs.
FORMS = {
    'affine': ('scale', 'shear', 'shift', 'shear', 'scale', 'shift'),
    'similarity': ('scale', 'shear', 'shift', 'shift'),
    'translation-scale': ('scale', 'shift', 'shift'),
}


@MODELS.register_module()
class SpatialTransformer(BaseModule):
    """Localisation network of the STN: predicts the window to which a crop is warped.

    A backbone, average pooling to a coarse grid, and a linear layer whose weights are
    initialised to zero, so that training starts at the identity. RMPE paper, section
    3.1.

    An output r of the linear layer changes its entry of theta by ``b * tanh(r / b)``
    from the identity, where b is one of the bounds below. This is close to r near the
    identity, and its magnitude is below b. With the default bounds a window is 0.5 to
    1.5 times as wide as the crop, its centre is moved by at most a quarter of the
    crop's width and height, and the determinant of theta is at least 0.1875, so theta
    always has an inverse.

    Args:
        backbone (dict): Config of any MMPose backbone; its last output is used.
            Defaults to a ResNet-18 of half the width. The RMPE authors use a ResNet-18.
        in_channels (int): Channels of the backbone's last output. Defaults to 256.
        downscale (int): Integer factor by which the crop is downsampled first. Defaults
            to 2.
        pool_size (int): Rows and columns of the pooled grid. 1 is global average
            pooling, which the RMPE authors use. Defaults to 4.
        form (str): ``'affine'``: the paper's six parameters. ``'similarity'``: scale,
            rotation and shift; angles are those in pixels of the crop.
            ``'translation-scale'``: one scale for both axes, and shift. Defaults to
            ``'affine'``.
        max_scale (float): Bound of the change of the diagonal entries. Defaults to 0.5.
        max_shear (float): Bound of the off-diagonal entries; for a similarity, of scale
            times sine. Defaults to 0.25.
        max_shift (float): Bound of the shift, in normalised coordinates. Defaults to
            0.5.
        init_cfg (dict, optional): Initialisation. Defaults to ``None``.

    Raises:
        ValueError: If ``form`` is unknown, if a bound is not positive, or if the bounds
            allow a theta without an inverse; in use, if the backbone's channels differ
            from ``in_channels``.
        RuntimeError: In training, if an output of the linear layer is not finite. (On
            CUDA at one of the next synchronisations, because the check is
            asynchronous.) In eval mode theta of such a sample is not finite;
            :class:`SSTNPoseEstimator` uses the identity instead.
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
        if min(bounds.values()) <= 0:
            raise ValueError(
                'stn.max_scale, max_shear and max_shift must be positive, got '
                f'{max_scale}, {max_shear} and {max_shift}'
            )
        # Shear cannot make the determinant of a similarity 0.
        if max_scale + (max_shear if form == 'affine' else 0) >= 1:
            raise ValueError(
                'stn.max_scale (with an affine theta max_scale + max_shear) must be '
                'below 1 so that theta has an inverse, got max_scale '
                f'{max_scale} and max_shear {max_shear}'
            )
        self.in_channels = in_channels
        self.form = form
        self.downsample = nn.AvgPool2d(downscale)
        self.backbone = MODELS.build(backbone)
        self.pool_size = pool_size
        self.fc = nn.Linear(in_channels * pool_size**2, len(FORMS[form]))
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        self.register_buffer(
            'bounds',
            torch.tensor([bounds[kind] for kind in FORMS[form]]),
            persistent=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Predict the windows of crops.

        Args:
            x (Tensor): Crops (B, 3, h, w).

        Returns:
            Tensor: theta (B, 2, 3), see :mod:`rmpe_plugin.ops.rmpe.affine`; float32,
            also if the model is in half precision.
        """
        outputs = self._localise(x)
        # The bounds would hide infinities.
        outputs = outputs.where(outputs.isfinite(), torch.nan)
        bounded = self.bounds * torch.tanh(outputs / self.bounds)
        theta = self._build_theta(bounded, x.shape[-2:])
        if self.training:
            torch._assert_async(
                ~outputs.isnan().any(),
                'the spatial transformer predicts a theta that is not finite: the '
                'training diverged, or its input or weights are not finite',
            )
        return theta

    def _localise(self, x: Tensor) -> Tensor:
        """Outputs of the linear layer (B, P) for crops (B, 3, h, w)."""
        feats = self.backbone(self.downsample(x))[-1]
        if feats.shape[1] != self.in_channels:
            raise ValueError(
                f'stn.backbone has {feats.shape[1]} output channels, stn.in_channels '
                f'is {self.in_channels}'
            )
        pooled = grid_average_pool(feats, self.pool_size).flatten(1)
        # In half precision the window would shift by a tenth of a pixel.
        with torch.autocast(x.device.type, enabled=False):
            return at_least_float32(self.fc(pooled.to(self.fc.weight.dtype)))

    def _build_theta(self, bounded: Tensor, size: tuple[int, int]) -> Tensor:
        """Arrange bounded parameters (B, P) as theta (B, 2, 3); size is (h, w)."""
        if self.form == 'affine':
            offset = bounded.view(-1, 2, 3)
        else:
            if self.form == 'similarity':
                scale, rotation, x, y = bounded.unbind(dim=1)
            else:
                scale, x, y = bounded.unbind(dim=1)
                rotation = torch.zeros_like(scale)
            # A rotation of pixels, in coordinates normalised by height and width.
            ratio = (size[0] - 1) / (size[1] - 1)
            entries = (scale, -rotation * ratio, x, rotation / ratio, scale, y)
            offset = torch.stack(entries, dim=1).view(-1, 2, 3)
        return identity_affine(offset) + offset
