# SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Callable

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import (
    ConfigType,
    InstanceList,
    OptConfigType,
    OptSampleList,
    SampleList,
)
from torch import Tensor

from rmpe_plugin.codecs import crop_pixels
from rmpe_plugin.models.heads import (
    Heatmaps,
    add_mirrored,
    decoded_heatmaps,
    float32_heatmaps,
    head_on_heatmaps,
    predicts_coordinates,
    split_views,
)
from rmpe_plugin.models.spatial_transformers import SDTN
from rmpe_plugin.ops import (
    compose_affine,
    finite_or_identity,
    invert_affine,
    transform_points,
    warp,
)

from .parallel_sppe import ParallelSPPE
from .window_targets import window_targets

SDTN_MODES = ('heatmaps', 'keypoints')


def _mirror(theta: Tensor) -> Tensor:
    """F theta F for the reflection F: x -> -x; theta is (..., 2, 3)."""
    a, b, c, d, e, f = theta.flatten(-2).unbind(dim=-1)
    return torch.stack((a, -b, -c, -d, e, f), dim=-1).unflatten(-1, (2, 3))


def _clip_to_median_norm(gradient: Tensor) -> Tensor:
    """Clip each sample's gradient of theta (B, 2, 3) to the median nonzero norm."""
    # The gradient comes from image edges at a few heatmap peaks. Without clipping, 5 %
    # of the samples have half of the sum of squared norms and dominate the update of
    # the STN. A limit relative to the batch does not depend on the scale of the losses
    # or of AMP.
    norm = gradient.norm(dim=(1, 2), keepdim=True)
    # Samples without labelled keypoints have no gradient and do not count.
    median = norm.where(norm > 0, torch.nan).nanmedian().nan_to_num()
    return gradient * (median / norm.clamp(min=1e-30)).clamp(max=1)


def _map_keypoints(
    poses: InstanceList, theta: Tensor, size: tuple[int, int], unit: np.ndarray
) -> None:
    """Map keypoints, in ``unit`` pixels, from the windows to the crops, in place."""
    keypoints = np.concatenate([pose.keypoints for pose in poses]) * unit
    keypoints = torch.from_numpy(keypoints)
    theta = theta.detach().cpu().to(keypoints)
    mapped = transform_points(keypoints, theta, size, size).numpy()  # (B, K, 2)
    for pose, keypoints_in_crop in zip(poses, mapped / unit, strict=True):
        pose.keypoints = keypoints_in_crop[None]


@MODELS.register_module()
class SSTNPoseEstimator(TopdownPoseEstimator):
    """Top-down pose estimator with a symmetric spatial transformer network (RMPE).

    crop -> STN -> backbone, neck, head -> SDTN -> losses or decoding. The spatial
    transformer network (STN) warps the crop to a window centred on the person. The
    spatial de-transformer network (SDTN) warps the heatmaps back. Losses and decoding
    are in the frame of the crop, as in ``TopdownPoseEstimator``. RMPE paper, section
    3.1.

    SimCC vectors and regressed coordinates cannot be warped as images. With such a
    head the keypoints are decoded in the window, and theta maps them to the crop. In
    training their targets are encoded in the frame of each window. The STN then has no
    gradient of the main loss, because in the units of the window all errors are smaller
    if the window is larger: only the two losses below train it.

    The SDTN compensates for a badly chosen window, so the main loss alone does not
    train the STN to localise the person. Two losses do, and can be combined: that of
    the paper's parallel SPPE, a frozen copy of the network without an SDTN, whose
    targets are in the frame of the ground-truth box; and a loss on the window itself,
    which is not in the paper. Also not in the paper: the gradient of each sample's
    theta is clipped to the median norm of the batch, unless ``clip_gradient=False``.

    ``extract_feat`` is inherited and does not apply the STN.

    Args:
        backbone (dict): Config of any backbone.
        neck (dict, optional): Config of any neck. Defaults to ``None``.
        head (dict): Config of any head that predicts heatmaps, see
            :func:`rmpe_plugin.models.heads.head_on_heatmaps`; or of ``SimCCHead``,
            ``RTMCCHead``, ``RegressionHead`` or ``RLEHead``.
        stn (dict): Config of :class:`SpatialTransformer`.
        parallel (dict, optional): Config of the parallel SPPE: ``loss_weight`` (default
            1.0) and ``checkpoint``, a top-down checkpoint with its weights (default
            ``None``: the weights of this model when training starts). Needs
            :class:`ParallelSPPEHook` and, in the pipeline,
            :class:`GenerateSSTNTarget`. Defaults to ``None``.
        window_loss (dict, optional): Config of :class:`WindowCornerLoss`. Needs
            :class:`GenerateSSTNTarget` in the pipeline. Defaults to ``None``.
        clip_gradient (bool): Whether to clip the gradient of each sample's theta to the
            median of the nonzero norms of the batch. ``False`` is the paper's training.
            Defaults to ``True``.
        kwargs: As ``TopdownPoseEstimator``'s. ``test_cfg.sdtn`` is ``'heatmaps'`` (the
            paper) or ``'keypoints'``, which decodes in the frame of the window and maps
            the keypoints to the crop, without interpolation. Defaults to
            ``'heatmaps'``, with a head without heatmaps to ``'keypoints'``.

    Attributes:
        parallel_sppe (ParallelSPPE | None): Exists in training only, from
            :meth:`init_parallel_sppe` on. It moves with the model, but is no submodule:
            optimizers, ``DistributedDataParallel`` and the state dict do not have its
            weights, which :class:`ParallelSPPEHook` saves separately.

    Raises:
        ValueError: If the head is missing, or if a setting is unknown or does not suit
            the head; in use, if samples lack what a loss needs, or if nothing trains
            the STN of a head without heatmaps.
    """

    def __init__(
        self,
        backbone: ConfigType,
        neck: OptConfigType = None,
        head: OptConfigType = None,
        stn: ConfigType = dict(type='SpatialTransformer'),  # noqa: B006
        parallel: OptConfigType = None,
        window_loss: OptConfigType = None,
        clip_gradient: bool = True,
        **kwargs,
    ) -> None:
        if head is None:
            raise ValueError('model.head is missing: the SDTN needs its heatmaps')
        unknown = set(parallel or {}) - {'loss_weight', 'checkpoint'}
        if unknown:
            raise ValueError(
                "model.parallel must only have 'loss_weight' and 'checkpoint', got "
                f'{unknown}'
            )
        super().__init__(backbone, neck, head, **kwargs)
        self._check_test_cfg()
        self.stn = MODELS.build(stn)
        self.sdtn = SDTN()
        self.window_loss = None if window_loss is None else MODELS.build(window_loss)

        self.clip_gradient = clip_gradient
        self.parallel_cfg = parallel
        self.parallel_sppe: ParallelSPPE | None = None
        self._warned = False

    @property
    def sdtn_mode(self) -> str:
        """Where the SDTN works in a test: on ``'heatmaps'`` or on ``'keypoints'``."""
        default = 'keypoints' if predicts_coordinates(self.head) else 'heatmaps'
        return self.test_cfg.get('sdtn', default)

    def _check_test_cfg(self) -> None:
        """Raise if a setting contradicts the SDTN."""
        flip_mode = self.test_cfg.get('flip_mode', 'heatmap')
        if flip_mode != 'heatmap':
            raise ValueError(
                f"test_cfg.flip_mode must be 'heatmap', got {flip_mode!r}: the SDTN "
                'can only warp heatmaps'
            )
        if self.sdtn_mode not in SDTN_MODES:
            raise ValueError(
                f'test_cfg.sdtn must be one of {SDTN_MODES}, got {self.sdtn_mode!r}'
            )
        if self.sdtn_mode == 'heatmaps' and predicts_coordinates(self.head):
            raise ValueError(
                "test_cfg.sdtn must be 'keypoints' with a "
                f'{type(self.head).__name__}, which predicts no heatmaps'
            )
        codec = getattr(self.head, 'decoder', None)
        if codec is None and predicts_coordinates(self.head):
            raise ValueError(
                'model.head.decoder is missing: it encodes targets for the windows'
            )
        kind = getattr(codec, 'heatmap_type', 'gaussian')
        if kind != 'gaussian':
            raise ValueError(
                "model.head.decoder.heatmap_type must be 'gaussian', got "
                f'{kind!r}: the SDTN cannot warp offsets'
            )
        for output in ('output_heatmaps', 'output_global'):
            if self.sdtn_mode == 'keypoints' and self.test_cfg.get(output, False):
                raise ValueError(
                    f"test_cfg.{output} needs heatmaps and test_cfg.sdtn='heatmaps': "
                    "'keypoints' computes no heatmaps in the frame of the crop"
                )

    def init_parallel_sppe(self, state: dict[str, Tensor] | None = None) -> None:
        """Create the frozen parallel SPPE. Call it after the weights are loaded.

        Args:
            state (dict[str, Tensor], optional): State dict of an earlier parallel SPPE.
                Defaults to ``None``: ``parallel.checkpoint``, or the weights of this
                model.
        """
        checkpoint = self.parallel_cfg.get('checkpoint') if state is None else None
        parallel_sppe = ParallelSPPE(self, checkpoint)
        if state is not None:
            parallel_sppe.load_state_dict(state)
        # nn.Module would register it as a submodule.
        object.__setattr__(self, 'parallel_sppe', parallel_sppe)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'SSTNPoseEstimator':
        """Move or cast all tensors, also those of the parallel SPPE."""
        if self.parallel_sppe is not None:
            self.parallel_sppe._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def transform(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Choose windows with the STN and warp the crops to them.

        Pixels outside the crop are black, like those of crops that extend beyond the
        image.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).

        Returns:
            tuple[Tensor, Tensor]: Warped images (B, 3, h, w), and theta (B, 2, 3), the
            identity where the STN's is not finite.
        """
        theta = finite_or_identity(self.stn(inputs))
        return self._warp(inputs, theta), theta

    def _warp(self, inputs: Tensor, theta: Tensor) -> Tensor:
        """Warp crops (B, 3, h, w) by theta (B, 2, 3), with black outside."""
        # Padding of the warp is 0, and a black pixel after normalisation is not.
        norm = self.data_preprocessor
        black = -norm.mean / norm.std if hasattr(norm, 'mean') else 0.0
        warped = warp(inputs - black, theta, inputs.shape[-2:]) + black
        return warped.to(inputs.dtype)

    def _forward(self, inputs: Tensor, data_samples: OptSampleList = None) -> Heatmaps:
        """Predict heatmaps in the frame of the crop (``mode='tensor'``).

        A head without heatmaps returns its outputs in the frame of the window.
        """
        images, theta = self.transform(inputs)
        outputs = self._predict_window(images)
        if predicts_coordinates(self.head):
            return outputs
        return self.sdtn(outputs, invert_affine(theta))

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).
            data_samples (list[PoseDataSample]): Samples with targets in the frame of
                the crop; with ``centred`` for the parallel SPPE, ``theta_gt`` for the
                window loss, and ``crop_keypoints`` for a head without heatmaps.

        Returns:
            dict[str, Tensor]: Losses of the head; those of the parallel SPPE, with the
            prefix ``parallel.``; and ``loss_window``.
        """
        # STN: crop -> window
        images, theta = self.transform(inputs)
        if self.clip_gradient and theta.requires_grad:
            theta.register_hook(_clip_to_median_norm)

        if predicts_coordinates(self.head):
            outputs = self._predict_window(images.detach())
            targets = self._window_targets(theta, data_samples, inputs.shape[-2:])
        else:
            # SPPE: window -> heatmaps in the frame of the window
            heatmaps = self._predict_window(images)
            # SDTN: -> heatmaps in the frame of the crop
            outputs = self.sdtn(heatmaps, invert_affine(theta))
            targets = data_samples
        losses = head_on_heatmaps(self.head).loss(
            outputs, targets, train_cfg=self.train_cfg
        )

        # Losses that train the STN
        if self.parallel_cfg is not None:
            losses.update(self._parallel_loss(images, data_samples))
        if self.window_loss is not None:
            losses['loss_window'] = self._window_loss(theta, data_samples)
        return losses

    def _window_targets(
        self, theta: Tensor, data_samples: SampleList, size: tuple[int, int]
    ) -> SampleList:
        """Targets in the frames of the windows theta (B, 2, 3) of (H, W) pixels."""
        if self.parallel_cfg is None and self.window_loss is None:
            raise ValueError(
                'model.parallel or model.window_loss must be set to train an SSTN with '
                f'a {type(self.head).__name__}: the targets of this head are encoded '
                'in the frame of the window, so the main loss does not train the STN'
            )
        return [window_targets(self.head.decoder, data_samples, theta, size)]

    def _parallel_loss(
        self, images: Tensor, data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Losses of the parallel SPPE on warped images (B, 3, h, w)."""
        if self.parallel_sppe is None:
            raise ValueError(
                'the parallel SPPE does not exist yet: add '
                "dict(type='ParallelSPPEHook') to custom_hooks, or call "
                'init_parallel_sppe() after the weights are loaded'
            )
        if 'centred' not in data_samples[0]:
            raise ValueError(
                'model.parallel needs centre-located targets: put '
                'SSTNBBoxCenterScale, GenerateSSTNTarget and PackSSTNInputs into the '
                'pipeline'
            )
        weight = self.parallel_cfg.get('loss_weight', 1.0)
        centred = [sample.centred for sample in data_samples]
        losses = self.parallel_sppe.loss(images, centred)
        return {f'parallel.{name}': weight * loss for name, loss in losses.items()}

    def _window_loss(self, theta: Tensor, data_samples: SampleList) -> Tensor:
        """Window loss of theta (B, 2, 3)."""
        if 'theta_gt' not in data_samples[0]:
            raise ValueError(
                'model.window_loss needs the ground-truth window: put '
                'SSTNBBoxCenterScale, GenerateSSTNTarget and PackSSTNInputs into the '
                'pipeline'
            )
        theta_gt = torch.stack([sample.theta_gt for sample in data_samples])
        return self.window_loss(theta, theta_gt)

    def predict(self, inputs: Tensor, data_samples: SampleList) -> SampleList:
        """Predict poses.

        With ``test_cfg.flip_test`` the STN chooses a second window for the mirrored
        crop. Both heatmaps are warped to one frame and averaged there: that of the
        crop, or with ``test_cfg.sdtn='keypoints'`` that of the first window. A head
        without heatmaps sees the first window and its mirror image.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).
            data_samples (list[PoseDataSample]): The samples.

        Returns:
            list[PoseDataSample]: As of ``TopdownPoseEstimator``; ``pred_instances``
            also has ``theta`` (1, 2, 3), the window.
        """
        views, predicted = self.test_views(inputs)
        heatmaps = views if self.test_cfg.get('flip_test', False) else views[0]
        preds = head_on_heatmaps(self.head).predict(
            heatmaps, data_samples, test_cfg=self.test_cfg
        )
        poses, fields = preds if isinstance(preds, tuple) else (preds, None)
        theta = finite_or_identity(predicted)
        if self.sdtn_mode == 'keypoints':
            unit = crop_pixels(self.head.decoder)
            _map_keypoints(poses, theta, inputs.shape[-2:], unit)
        self._add_windows(poses, predicted, theta)
        return self.add_pred_to_datasample(poses, fields, data_samples)

    def test_views(self, inputs: Tensor) -> tuple[list[Heatmaps], Tensor]:
        """Predict the heatmaps that are averaged and decoded in a test.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).

        Returns:
            tuple[list[Heatmaps], Tensor]: Heatmaps, or what a head without heatmaps
            predicts, of the crops and, with ``test_cfg.flip_test``, of the mirrored
            crops: in the frame of the crop, or with ``test_cfg.sdtn='keypoints'`` of
            the window; and theta (B, 2, 3), the windows of the crops, not finite where
            the STN's prediction is not.
        """
        if predicts_coordinates(self.head):
            predicted = self.stn(inputs)
            windows = self._warp(inputs, finite_or_identity(predicted))
            outputs = self._predict_window(add_mirrored(windows, self.test_cfg))
            return split_views(outputs, self.test_cfg), predicted
        crops = add_mirrored(inputs, self.test_cfg)
        predicted = self.stn(crops)
        theta = finite_or_identity(predicted)
        feats = self.extract_feat(self._warp(crops, theta))
        heatmaps = float32_heatmaps(decoded_heatmaps(self.head, feats, self.test_cfg))

        views, windows, gammas, thetas = (
            split_views(x, self.test_cfg)
            for x in (heatmaps, theta, invert_affine(theta), predicted)
        )
        if self.sdtn_mode == 'heatmaps':
            views = [self.sdtn(x, gammas[i]) for i, x in enumerate(views)]
        elif len(views) == 2:
            gamma = compose_affine(gammas[1], _mirror(windows[0]))
            views[1] = self.sdtn(views[1], gamma)
        return views, thetas[0]

    def _add_windows(
        self, poses: InstanceList, predicted: Tensor, theta: Tensor
    ) -> None:
        """Add theta (B, 2, 3) to the poses; log once if the predicted is not finite."""
        windows, used = torch.stack((predicted, theta)).detach().cpu().numpy()
        for pose, window in zip(poses, used, strict=True):
            pose.theta = window[None]
        invalid = ~np.isfinite(windows).all(axis=(1, 2))
        if invalid.any() and not self._warned:
            self._warned = True
            print_log(
                'the spatial transformer predicts no finite theta for '
                f'{invalid.sum()} of {len(invalid)} crops; these crops are not warped '
                '(logged once)',
                logger='current',
                level=logging.WARNING,
            )

    def _predict_window(self, images: Tensor) -> Heatmaps:
        """Outputs of the head for warped images (B, 3, h, w)."""
        return float32_heatmaps(self.head.forward(self.extract_feat(images)))
