# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.utils.typing import (
    ConfigType,
    OptConfigType,
    OptSampleList,
    Predictions,
)
from torch import Tensor, nn

from rmpe_plugin.ops import at_least_float32, pck_accuracy

from .flip_test import average_views
from .multilevel_targets import stack_targets

LEVEL_ORDERS = ('pytorch-cpn', 'tf-cpn')
# Position of a stage's heatmaps in the output of CPNHead.forward.
STAGES = {'global': 0, 'refine': -1}


@MODELS.register_module()
class CPNHead(BaseHead):
    """Head of the Cascaded Pyramid Network (CVPR 2018), for any feature pyramid.

    ``GlobalNet`` predicts heatmaps at every level; each level has its own targets.
    ``RefineNet`` predicts heatmaps from all levels together, and its loss is on the
    hard keypoints. A pyramid of L levels needs L + 1 targets, each from one
    :class:`CPNHeatmap`: first those of the levels, from the narrowest kernel to the
    widest, then that of RefineNet.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's levels, fine to
            coarse.
        out_channels (int): Number of keypoints K.
        feat_channels (int): Channels of the pyramid. Defaults to 256.
        global_net (dict): Config of :class:`GlobalNet`; channels are added.
        refine_net (dict, optional): Config of :class:`RefineNet`; channels are added.
            ``None`` for GlobalNet only, the paper's baseline. Defaults to
            ``dict(type='RefineNet')``.
        global_loss (dict, optional): Loss of each GlobalNet level, summed over levels.
            The weight is 0.5 in pytorch-cpn and 0.125 in tf-cpn. ``None`` for the loss
            of RefineNet only; GlobalNet then has no prediction layers. Defaults to
            ``KeypointMSELoss`` with weight 0.5.
        loss (dict): Loss of RefineNet; not used without a RefineNet. Defaults to
            ``OHKMMSELoss`` with ``topk=8``.
        level_order (str): Which level has which target. ``'pytorch-cpn'``: the finest
            level has the narrowest kernel. ``'tf-cpn'``: the finest level has the
            widest. The author of tf-cpn calls this a mistake that is kept because the
            released weights depend on it. Defaults to ``'pytorch-cpn'``.
        decoder (dict, optional): Codec that decodes heatmaps. Defaults to ``None``.
        init_cfg (dict, optional): Initialisation. Defaults to
            :attr:`default_init_cfg`.

    Raises:
        ValueError: If settings contradict each other, or in use, if features or targets
            do not match the settings.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        feat_channels: int = 256,
        global_net: ConfigType = dict(type='GlobalNet'),  # noqa: B006
        refine_net: OptConfigType = dict(type='RefineNet'),  # noqa: B006
        global_loss: OptConfigType = dict(  # noqa: B006
            type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5
        ),
        loss: ConfigType = dict(  # noqa: B006
            type='OHKMMSELoss', use_target_weight=True, topk=8
        ),
        level_order: str = 'pytorch-cpn',
        decoder: OptConfigType = None,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(self.default_init_cfg if init_cfg is None else init_cfg)
        if level_order not in LEVEL_ORDERS:
            raise ValueError(
                f'head.level_order must be one of {LEVEL_ORDERS}, got {level_order!r}'
            )
        if global_loss is None and refine_net is None:
            raise ValueError(
                'head.global_loss and head.refine_net are both None: nothing to train'
            )
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.level_order = level_order

        self.global_loss = self.refine_net = None
        if global_loss is not None:
            self.global_loss = MODELS.build(global_loss)
        self.global_net = MODELS.build(
            global_net,
            default_args=dict(
                in_channels=in_channels,
                out_channels=None if global_loss is None else out_channels,
                feat_channels=feat_channels,
            ),
        )
        if refine_net is not None:
            self.loss_module = MODELS.build(loss)
            topk = getattr(self.loss_module, 'topk', out_channels)
            if topk > out_channels:
                raise ValueError(
                    'head.loss.topk must not be larger than head.out_channels, the '
                    f'number of keypoints {out_channels}, got {topk}'
                )
            self.refine_net = self._build_refine_net(refine_net, feat_channels)
        self.decoder = None if decoder is None else KEYPOINT_CODECS.build(decoder)
        # Resizing and concatenating many channels is a third faster in this format.
        self.to(memory_format=torch.channels_last)

    def _build_refine_net(self, config: ConfigType, feat_channels: int) -> nn.Module:
        """Build the RefineNet and check that GlobalNet has its levels."""
        sizes = dict(feat_channels=feat_channels, out_channels=self.out_channels)
        refine_net = MODELS.build(config, default_args=sizes)
        num_levels = len(refine_net.cascade)
        if num_levels > len(self.in_channels):
            raise ValueError(
                f'head.refine_net.num_bottlenecks has {num_levels} levels, more than '
                f'head.in_channels {self.in_channels}'
            )
        return refine_net

    @property
    def default_init_cfg(self) -> list[dict]:
        """He initialisation by fan-out, as in pytorch-cpn."""
        return [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', layer='BatchNorm2d', val=1),
        ]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that predict heatmaps: ``'global'``, ``'refine'`` or both."""
        nets = {'global': self.global_loss, 'refine': self.refine_net}
        return tuple(stage for stage, net in nets.items() if net is not None)

    def forward(
        self, feats: Sequence[Tensor], stage: str | None = None
    ) -> tuple[Tensor, ...]:
        """Predict heatmaps.

        Args:
            feats (Sequence[Tensor]): Backbone features, fine to coarse, (B, C_i, h, w).
            stage (str, optional): ``'global'`` for the finest level of GlobalNet only,
                ``'refine'`` for RefineNet only; layers that it does not need are not
                computed. Defaults to ``None``: all.

        Returns:
            tuple[Tensor, ...]: Heatmaps (B, K, H, W) at the finest size: those of
            GlobalNet, fine to coarse, then those of RefineNet, without the stages that
            the head does not have.
        """
        channels = tuple(x.shape[1] for x in feats)
        if channels != self.in_channels:
            raise ValueError(
                f'head.in_channels (fine to coarse) is {self.in_channels}, but the '
                f'backbone has {len(channels)} levels with {channels} channels'
            )
        pyramid = self.global_net(feats)
        heatmaps = []
        if self.global_loss is not None and stage != 'refine':
            heatmaps += self.global_net.predict(pyramid[:1] if stage else pyramid)
        if self.refine_net is not None and stage != 'global':
            heatmaps.append(self.refine_net(pyramid))
        return tuple(heatmaps)

    def test_stage(self, test_cfg: ConfigType) -> str | None:
        """Argument ``stage`` of :meth:`forward` for the heatmaps that are decoded.

        Args:
            test_cfg (dict): See :meth:`predict`.

        Returns:
            str | None: ``'global'``, ``'refine'``, or ``None`` for both.

        Raises:
            ValueError: If the head does not have a stage that ``test_cfg`` names.
        """
        stage = test_cfg.get('stage', self.stages[-1])
        if stage not in self.stages:
            raise ValueError(
                f'test_cfg.stage must be one of {self.stages} for this head, got '
                f'{stage!r}'
            )
        if not test_cfg.get('output_global', False):
            return stage
        if self.global_loss is None:
            raise ValueError(
                'test_cfg.output_global needs predictions of GlobalNet, but '
                'head.global_loss is None'
            )
        return None

    def predict(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        test_cfg: ConfigType = {},  # noqa: B006
    ) -> Predictions:
        """Predict keypoints.

        Args:
            feats (Sequence[Tensor]): Backbone features, fine to coarse; with
                ``flip_test`` a list of two of these, of the images and of the mirrored
                images.
            batch_data_samples (list[PoseDataSample]): The samples; ``flip_test`` uses
                ``flip_indices`` of the first.
            test_cfg (dict): ``flip_test``, ``flip_mode``, ``shift_heatmap`` and
                ``output_heatmaps`` as in MMPose; ``stage``, ``'refine'`` or
                ``'global'``, the stage that is decoded (default: the last of the
                head); ``output_global`` (default ``False``) also decodes GlobalNet.

        Returns:
            list[InstanceData] | tuple[list[InstanceData], list[PixelData]]: Poses with
            ``keypoints`` (1, K, 2) in pixels of the network input and
            ``keypoint_scores`` (1, K) in [0, 1]; with ``output_global`` also
            ``global_keypoints`` and ``global_keypoint_scores``; and with
            ``output_heatmaps`` the decoded heatmaps (K, H, W).
        """
        stage = test_cfg.get('stage', self.stages[-1])
        needed = self.test_stage(test_cfg)
        views = feats if test_cfg.get('flip_test', False) else [feats]
        outputs = [self.forward(x, needed) for x in views]

        def average(name: str) -> Tensor:
            maps = [output[STAGES[name]] for output in outputs]
            indices = batch_data_samples[0].get('flip_indices')
            return average_views(maps, indices, test_cfg)

        heatmaps = average(stage)
        poses = self.decode(heatmaps)
        if test_cfg.get('output_global', False):
            for pose, other in zip(poses, self.decode(average('global')), strict=True):
                pose.global_keypoints = other.keypoints
                pose.global_keypoint_scores = other.keypoint_scores
        if test_cfg.get('output_heatmaps', False):
            maps = at_least_float32(heatmaps.detach())
            return poses, [PixelData(heatmaps=x) for x in maps]
        return poses

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        train_cfg: ConfigType = {},  # noqa: B006
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            feats (Sequence[Tensor]): Backbone features, fine to coarse.
            batch_data_samples (list[PoseDataSample]): Samples with multilevel targets.
            train_cfg (dict): ``compute_acc`` (default ``True``) adds ``acc_pose``, the
                accuracy of the last stage.

        Returns:
            dict[str, Tensor]: ``loss_global`` and ``loss_refine``, for the stages that
            the head has, and ``acc_pose``.
        """
        heatmaps = self.forward(feats)
        targets, weights = stack_targets(batch_data_samples, len(self.in_channels) + 1)
        if targets[-1].shape[1:] != heatmaps[-1].shape[1:]:
            raise ValueError(
                f'the targets are {tuple(targets[-1].shape[1:])} (K, H, W), the '
                f'heatmaps {tuple(heatmaps[-1].shape[1:])}: K is head.out_channels, H '
                'and W are codec.heatmap_size, which must be codec.input_size divided '
                "by the backbone's finest stride"
            )
        levels = list(range(len(self.in_channels)))
        if self.level_order == 'tf-cpn':
            levels.reverse()

        losses = {}
        if self.global_loss is not None:
            losses['loss_global'] = sum(
                self.global_loss(x, targets[i], weights[i])
                for x, i in zip(heatmaps, levels, strict=False)
            )
        if self.refine_net is not None:
            losses['loss_refine'] = self.loss_module(
                heatmaps[-1], targets[-1], weights[-1]
            )
        if train_cfg.get('compute_acc', True):
            last = heatmaps[STAGES[self.stages[-1]]].detach()
            losses['acc_pose'] = pck_accuracy(last, targets[-1], weights[-1] > 0)
        return losses
