# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, InstanceList, OptConfigType, SampleList
from torch import Tensor

from rmpe_plugin.models.heads import WarpedFeatures, add_sdtn
from rmpe_plugin.ops import compose_affine, invert_affine, transform_points, warp

from .parallel_sppe import ParallelSPPE

SDTN_MODES = ('heatmaps', 'keypoints')


def _mirror(theta: Tensor) -> Tensor:
    """F theta F for the mirror image F: x -> -x."""
    return theta * theta.new_tensor([[1, -1, -1], [-1, 1, 1]])


def _hold_outliers(gradient: Tensor) -> Tensor:
    """Hold every sample's gradient of theta (B, 2, 3) at the batch's median length.

    It comes through the edges of the picture under a few heatmap peaks, and one sample
    in twenty has half of the squared length: the STN would follow these alone. The
    median makes the limit independent of the losses' scale, AMP's included.
    """
    length = gradient.norm(dim=(1, 2), keepdim=True)
    return gradient * (length.median() / length.clamp(min=1e-30)).clamp(max=1)


def _map_keypoints(poses: InstanceList, theta: Tensor, size: tuple[int, int]) -> None:
    """Map decoded keypoints from the windows' pixels to the crops', in place."""
    found = torch.from_numpy(np.concatenate([pose.keypoints for pose in poses]))
    mapped = transform_points(found, theta.detach().cpu().to(found), size, size).numpy()
    for pose, keypoints in zip(poses, mapped, strict=True):
        pose.keypoints = keypoints[None]


@MODELS.register_module()
class SSTNPoseEstimator(TopdownPoseEstimator):
    """A top-down estimator between a spatial transformer and its inverse (RMPE).

    crop -> STN -> backbone, neck, head -> SDTN -> losses or decoding. The STN warps
    the crop to where the person should be, the SDTN brings the heatmaps back, so all
    that follows sees the crop's frame, as in ``TopdownPoseEstimator``. RMPE paper,
    section 3.1.

    The SDTN makes up for a bad window, so the main loss alone does not train the STN to
    find the person. Two things do, together or alone: the paper's parallel SPPE, a
    frozen copy without an SDTN that wants the person as the true box would show it;
    and a loss on the window itself. Not in the paper either: a sample's gradient of
    theta is held at the median length of its batch.

    Args:
        backbone (dict): Config of any backbone.
        neck (dict, optional): Config of any neck. Defaults to ``None``.
        head (dict): Config of any head that predicts heatmaps.
        stn (dict): Config of :class:`SpatialTransformer`.
        parallel (dict, optional): The parallel SPPE: ``loss_weight`` (default 1.0) and
            ``checkpoint``, a top-down checkpoint to fill it from (default ``None``:
            this model's own weights when training starts). It exists in training only
            and is no part of the state dict. Needs :class:`ParallelSPPEHook` and, in
            the pipeline, :class:`GenerateCentredTarget`. Defaults to ``None``.
        window_loss (dict, optional): Config of :class:`WindowCornerLoss`. Needs
            :class:`TrueWindow` in the pipeline. Defaults to ``None``.
        kwargs: As ``TopdownPoseEstimator``'s. ``test_cfg.sdtn`` is ``'heatmaps'``
            (default; the paper) or ``'keypoints'``, which decodes the maps of the
            STN's window and maps the keypoints back exactly.

    Raises:
        ValueError: For a missing head or settings that do not exist; in use, for
            samples that lack what a loss needs.
    """

    def __init__(
        self,
        backbone: ConfigType,
        neck: OptConfigType = None,
        head: OptConfigType = None,
        stn: ConfigType = dict(type='SpatialTransformer'),  # noqa: B006
        parallel: OptConfigType = None,
        window_loss: OptConfigType = None,
        **kwargs,
    ) -> None:
        if head is None:
            raise ValueError('model.head is missing: the SDTN needs its heatmaps')
        super().__init__(backbone, neck, head, **kwargs)
        add_sdtn(self.head)
        self.stn = MODELS.build(stn)
        unknown = set(parallel or {}) - {'loss_weight', 'checkpoint'}
        if unknown:
            raise ValueError(
                f"model.parallel takes 'loss_weight' and 'checkpoint', got {unknown}"
            )
        self.parallel = parallel
        # In a list, so that it is no submodule: not saved, not optimised, not wrapped.
        self._parallel_sppe: list[ParallelSPPE] = []
        self.window_loss = None if window_loss is None else MODELS.build(window_loss)
        if self.test_cfg.get('flip_mode', 'heatmap') != 'heatmap':
            raise ValueError(
                "test_cfg.flip_mode must be 'heatmap', got "
                f'{self.test_cfg["flip_mode"]!r}: offsets are no heatmaps to warp'
            )
        if self._sdtn_mode not in SDTN_MODES:
            raise ValueError(
                f'test_cfg.sdtn must be one of {SDTN_MODES}, got {self._sdtn_mode!r}'
            )

    @property
    def _sdtn_mode(self) -> str:
        return self.test_cfg.get('sdtn', 'heatmaps')

    def fill_parallel(self, state: dict[str, Tensor] | None = None) -> None:
        """Make the frozen parallel SPPE; to be called once the weights are loaded.

        Args:
            state (dict[str, Tensor], optional): What :meth:`parallel_state` gave.
                Defaults to ``None``: ``parallel.checkpoint``, or this model's weights.
        """
        sppe = ParallelSPPE(self, self.parallel.get('checkpoint'))
        if state is not None:
            sppe.load_state_dict(state)
        self._parallel_sppe = [sppe]

    def parallel_state(self) -> dict[str, Tensor]:
        """The weights of the parallel SPPE.

        Returns:
            dict[str, Tensor]: Its state dict.
        """
        return self._parallel_sppe[0].state_dict()

    def transform(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Let the STN choose a window and cut it out, black outside the crop.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).

        Returns:
            tuple[Tensor, Tensor]: The windows as images (B, 3, h, w), and theta
            (B, 2, 3).
        """
        theta = self.stn(inputs)
        # The pixel 0 is what crops have outside the picture; normalised it is not 0.
        norm = self.data_preprocessor
        black = -norm.mean / norm.std if hasattr(norm, 'mean') else 0.0
        return warp(inputs - black, theta, inputs.shape[-2:]) + black, theta

    def extract_feat(self, inputs: Tensor) -> WarpedFeatures:
        """Features of the STN's window, and the way back.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).

        Returns:
            WarpedFeatures: What the head takes.
        """
        return self.warped_features(*self.transform(inputs))

    def warped_features(self, images: Tensor, theta: Tensor) -> WarpedFeatures:
        """Features of windows that are cut out already, and the way back.

        Args:
            images (Tensor): The windows (B, 3, h, w).
            theta (Tensor): Where they lie in the crops (B, 2, 3).

        Returns:
            WarpedFeatures: What the head takes.
        """
        return WarpedFeatures(super().extract_feat(images), invert_affine(theta))

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).
            data_samples (list[PoseDataSample]): Samples with targets in the frame of
                the crop; ``centred`` for the parallel SPPE and ``theta_gt`` for the
                window loss.

        Returns:
            dict[str, Tensor]: The head's; with a parallel SPPE the same losses of it
            with ``parallel.`` before their names; ``loss_window``.
        """
        images, theta = self.transform(inputs)
        if theta.requires_grad:
            theta.register_hook(_hold_outliers)
        feats = self.warped_features(images, theta)
        losses = self.head.loss(feats, data_samples, train_cfg=self.train_cfg)
        if self.parallel is not None:
            losses.update(self._parallel_loss(images, data_samples))
        if self.window_loss is not None:
            if 'theta_gt' not in data_samples[0]:
                raise ValueError(
                    'model.window_loss needs the true window: put KeepTrueBox, '
                    'TrueWindow and PackSSTNInputs in the pipeline'
                )
            true = torch.stack([d.theta_gt for d in data_samples])
            losses['loss_window'] = self.window_loss(theta, true)
        return losses

    def _parallel_loss(self, images: Tensor, data_samples: SampleList) -> dict:
        """Losses of the parallel SPPE on the STN's output."""
        if not self._parallel_sppe:
            raise ValueError(
                "the parallel SPPE is empty: put dict(type='ParallelSPPEHook') in "
                'custom_hooks, or call fill_parallel() once the weights are loaded'
            )
        if 'centred' not in data_samples[0]:
            raise ValueError(
                'model.parallel needs centre-located targets: put KeepTrueBox, '
                'TrueWindow, GenerateCentredTarget and PackSSTNInputs in the pipeline'
            )
        weight = self.parallel.get('loss_weight', 1.0)
        centred = [d.centred for d in data_samples]
        losses = self._parallel_sppe[0].loss(images, centred)
        return {f'parallel.{name}': weight * loss for name, loss in losses.items()}

    def predict(self, inputs: Tensor, data_samples: SampleList) -> SampleList:
        """Predict poses.

        With ``test_cfg.flip_test`` the mirror image has a window of its own; its maps
        are brought back before the two are averaged.

        Args:
            inputs (Tensor): Crops (B, 3, h, w).
            data_samples (list[PoseDataSample]): The samples.

        Returns:
            list[PoseDataSample]: As ``TopdownPoseEstimator``'s; ``pred_instances`` has
            ``theta`` (1, 2, 3) too, the window that was chosen in the crop.
        """
        exact = self._sdtn_mode == 'keypoints'
        for output in ('output_heatmaps', 'output_global'):
            if exact and self.test_cfg.get(output, False):
                raise ValueError(
                    f"test_cfg.{output} needs test_cfg.sdtn='heatmaps': with "
                    "'keypoints' no heatmaps of the crop are made"
                )
        images, theta = self.transform(inputs)
        feats = self.warped_features(images, theta)
        # Maps are averaged and decoded in the crop's frame or, if keypoints are to be
        # mapped, in the frame of the window.
        if exact:
            feats = feats.feats
        if self.test_cfg.get('flip_test', False):
            mirrored = self.extract_feat(inputs.flip(-1))
            if exact:
                gamma = compose_affine(mirrored.gamma, _mirror(theta))
                mirrored = mirrored._replace(gamma=gamma)
            feats = [feats, mirrored]
        preds = self.head.predict(feats, data_samples, test_cfg=self.test_cfg)
        poses, fields = preds if isinstance(preds, tuple) else (preds, None)
        if exact:
            _map_keypoints(poses, theta, inputs.shape[-2:])
        for pose, window in zip(poses, theta.detach().cpu().numpy(), strict=True):
            pose.theta = window[None]
        return self.add_pred_to_datasample(poses, fields, data_samples)
