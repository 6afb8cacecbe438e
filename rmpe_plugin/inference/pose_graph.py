# SPDX-License-Identifier: Apache-2.0
"""A pose estimator as one function of tensors, from crops to keypoints."""

from copy import deepcopy

import torch
from mmpose.models import TopdownPoseEstimator
from torch import Tensor, nn

from rmpe_plugin.models.heads import (
    Heatmaps,
    add_mirrored,
    decoded_heatmaps,
    split_views,
)
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.ops import crop_to_image, finite_or_identity, transform_points

from .decoding import tensor_decoder
from .normalisation import normalise
from .views import HEADS, Encoded, combine_views

COLORS = ('bgr', 'rgb')


class PoseGraph(nn.Module):
    """Crops to keypoints: normalisation, network, flip test, decoding.

    It computes what ``model.predict`` does, for a batch and with tensor operations
    only: it can be exported, and on a GPU it does not synchronise with the host.
    ``test_cfg`` of the model is applied: ``flip_test``, for CPN ``stage``, and for an
    SSTN ``sdtn``.

    Args:
        model (TopdownPoseEstimator): A model in eval mode, with or without an SSTN. It
            is copied if ``dtype`` is another one.
        color (str): Channel order of the crops, ``'bgr'`` or ``'rgb'``. Defaults to
            ``'bgr'``, the order of OpenCV and of MMPose's pipelines.
        dtype (torch.dtype): Precision of the network. Decoding is in float32. Defaults
            to float32.

    Raises:
        ValueError: If the head, the codec or an entry of ``test_cfg`` is not supported.
    """

    def __init__(
        self,
        model: TopdownPoseEstimator,
        color: str = 'bgr',
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if color not in COLORS:
            raise ValueError(f'color must be one of {COLORS}, got {color!r}')
        _check_supported(model)
        self.model = _converted(model, dtype)
        self.dtype = dtype
        self.color = color
        self.decode = tensor_decoder(model.head.decoder)
        self.to(next(model.parameters()).device)

    def forward(
        self, crops: Tensor, inverse_affine: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predict the keypoints of crops.

        Args:
            crops (Tensor): Crops (B, 3, h, w), uint8 or float, 0 to 255.
            inverse_affine (Tensor, optional): Matrices (B, 2, 3) from pixels of the
                crops to pixels of the images. Defaults to ``None``.

        Returns:
            tuple[Tensor, Tensor]:
            - keypoints (B, K, 2), pixels of the crops, or of the images if
              ``inverse_affine`` is given. (0, 0) is the centre of the first pixel.
            - scores (B, K) in [0, 1].
        """
        encoded, theta = self.encoded(crops)
        keypoints, scores = self.decode(encoded)
        if theta is not None and self.model.sdtn_mode == 'keypoints':
            height, width = crops.shape[-2:]
            size = (height, width)
            keypoints = transform_points(keypoints, theta, size, size)
        if inverse_affine is not None:
            keypoints = crop_to_image(keypoints, inverse_affine)
        return keypoints, scores

    def encoded(self, crops: Tensor) -> tuple[Encoded, Tensor | None]:
        """Predict the heatmaps, vectors or coordinates that the codec decodes.

        Args:
            crops (Tensor): Crops (B, 3, h, w).

        Returns:
            tuple[Encoded, Tensor | None]: Heatmaps (B, K, H, W); or the SimCC vectors
            (B, K, W) and (B, K, H); or coordinates (B, K, 2 or 4); float32, averaged
            over the flip test. For an SSTN also its windows, theta (B, 2, 3).
        """
        views, theta = self._views(crops)
        return combine_views(self.model, views), theta

    def _views(self, crops: Tensor) -> tuple[list[Heatmaps], Tensor | None]:
        """Outputs for the crops and for the mirrored crops, and theta of an SSTN."""
        x = normalise(self.model.data_preprocessor, crops, self.color).to(self.dtype)
        if isinstance(self.model, SSTNPoseEstimator):
            views, predicted = self.model.test_views(x)
            return views, finite_or_identity(predicted)
        test_cfg = self.model.test_cfg
        feats = self.model.extract_feat(add_mirrored(x, test_cfg))
        heatmaps = decoded_heatmaps(self.model.head, feats, test_cfg)
        return split_views(heatmaps, test_cfg), None


def _converted(model: TopdownPoseEstimator, dtype: torch.dtype) -> TopdownPoseEstimator:
    """Copy a model and convert its networks to a dtype, unless it is float32."""
    if dtype == torch.float32:
        return model
    model = deepcopy(model)
    for module in model.children():
        # The means would be rounded.
        if module is not model.data_preprocessor:
            module.to(dtype)
    return model


def _check_supported(model: TopdownPoseEstimator) -> None:
    """Raise a ValueError if a graph cannot predict what the model predicts."""
    if not isinstance(model.head, HEADS):
        names = ', '.join(head.__name__ for head in HEADS)
        raise ValueError(
            f'model.head must be one of {names}, got {type(model.head).__name__}'
        )
    if model.head.decoder is None:
        raise ValueError('model.head.decoder is missing: nothing decodes the outputs')
    mode = model.test_cfg.get('flip_mode', 'heatmap')
    if model.test_cfg.get('flip_test', False) and mode != 'heatmap':
        raise ValueError(f"model.test_cfg.flip_mode must be 'heatmap', got {mode!r}")
    for name in ('output_keypoint_indices', 'output_global', 'output_heatmaps'):
        if model.test_cfg.get(name):
            raise ValueError(f'model.test_cfg.{name} is not supported: remove it')
