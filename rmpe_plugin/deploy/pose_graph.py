# SPDX-License-Identifier: Apache-2.0
"""A pose estimator as one function of tensors, from crops to keypoints."""

from copy import deepcopy

import torch
from mmpose.models import TopdownPoseEstimator
from mmpose.models.heads import CPMHead, HeatmapHead, MSPNHead
from mmpose.models.utils.tta import flip_heatmaps
from torch import Tensor, nn

from rmpe_plugin.codecs.tensor_decoder import TensorDecoder
from rmpe_plugin.models.heads import CPNHead, Heatmaps
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.ops import (
    at_least_float32,
    finite_or_identity,
    transform_points,
)

from .normalisation import normalise

HEADS = (CPNHead, HeatmapHead, CPMHead, MSPNHead)
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
        self.flip_test = model.test_cfg.get('flip_test', False)
        self.decode = TensorDecoder(model.head.decoder)
        self.decode.to(next(model.parameters()).device)

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
            - scores (B, K), in the range of the codec.
        """
        heatmaps, theta = self.heatmaps(crops)
        keypoints, scores = self.decode(heatmaps)
        if theta is not None and self.model.sdtn_mode == 'keypoints':
            size = crops.shape[-2:]
            keypoints = transform_points(keypoints, theta, size, size)
        if inverse_affine is not None:
            linear, shift = inverse_affine.split((2, 1), dim=-1)
            # Not a matrix product, which could be rounded to TF32.
            keypoints = (keypoints[..., None, :] * linear[:, None]).sum(-1) + shift.mT
        return keypoints, scores

    def heatmaps(self, crops: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict the heatmaps that are decoded.

        Args:
            crops (Tensor): Crops (B, 3, h, w).

        Returns:
            tuple[Tensor, Tensor | None]: Heatmaps (B, K, H, W), float32, averaged over
            the flip test, and for an SSTN its windows, theta (B, 2, 3).
        """
        views, theta = self._views(crops)
        return self._average(views), theta

    def _views(self, crops: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Heatmaps of the crops and of the mirrored crops, and theta of an SSTN."""
        x = normalise(self.model.data_preprocessor, crops, self.color).to(self.dtype)
        if isinstance(self.model, SSTNPoseEstimator):
            views, predicted = self.model.test_views(x)
            theta = finite_or_identity(predicted)
            return [self._decoded_heatmaps(view) for view in views], theta
        batch = torch.cat((x, x.flip(-1))) if self.flip_test else x
        feats = self.model.extract_feat(batch)
        head = self.model.head
        if isinstance(head, CPNHead):
            # Without stages that are not decoded.
            heatmaps = head.forward(feats, head.test_stage(self.model.test_cfg))
        else:
            heatmaps = head.forward(feats)
        heatmaps = self._decoded_heatmaps(heatmaps)
        return list(heatmaps.unflatten(0, (-1, crops.shape[0]))), None

    @staticmethod
    def _decoded_heatmaps(heatmaps: Heatmaps) -> Tensor:
        """The heatmaps that the head decodes: of the last stage."""
        last = heatmaps if isinstance(heatmaps, Tensor) else heatmaps[-1]
        return at_least_float32(last)

    def _average(self, views: list[Tensor]) -> Tensor:
        """Average the heatmaps (B, K, H, W) of the crops and of the mirrored crops."""
        if not self.flip_test:
            return views[0]
        mirrored = flip_heatmaps(
            views[1],
            flip_indices=self.model.dataset_meta['flip_indices'],
            flip_mode='heatmap',
            shift_heatmap=self.model.test_cfg.get('shift_heatmap', False),
        )
        return (views[0] + mirrored) / 2


class HeatmapGraph(nn.Module):
    """The part of a :class:`PoseGraph` before decoding.

    Args:
        graph (PoseGraph): The graph.

    Raises:
        ValueError: If an SSTN does not warp its heatmaps to the frame of the crop.
    """

    def __init__(self, graph: PoseGraph) -> None:
        super().__init__()
        if getattr(graph.model, 'sdtn_mode', 'heatmaps') != 'heatmaps':
            raise ValueError(
                "heatmaps of an SSTN need model.test_cfg.sdtn='heatmaps': 'keypoints' "
                'computes no heatmaps in the frame of the crop'
            )
        self.pose_graph = graph

    def forward(self, crops: Tensor) -> Tensor:
        """Predict heatmaps (B, K, H, W) of crops (B, 3, h, w)."""
        return self.pose_graph.heatmaps(crops)[0]


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
        raise ValueError('model.head.decoder is missing: nothing decodes the heatmaps')
    mode = model.test_cfg.get('flip_mode', 'heatmap')
    if model.test_cfg.get('flip_test', False) and mode != 'heatmap':
        raise ValueError(f"model.test_cfg.flip_mode must be 'heatmap', got {mode!r}")
    for name in ('output_keypoint_indices', 'output_global', 'output_heatmaps'):
        if model.test_cfg.get(name):
            raise ValueError(f'model.test_cfg.{name} is not supported: remove it')
