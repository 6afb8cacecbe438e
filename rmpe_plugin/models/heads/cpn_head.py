# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmpose.models.heads.base_head import BaseHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.utils.typing import (
    ConfigType,
    OptConfigType,
    OptSampleList,
    Predictions,
)
from torch import Tensor

from rmpe_plugin.ops import pck_accuracy

LEVEL_ORDERS = ('pytorch-cpn', 'tf-cpn')


@MODELS.register_module()
class CPNHead(BaseHead):
    """Cascaded Pyramid Network on any pyramid of features (CVPR 2018).

    ``GlobalNet`` predicts heatmaps at every level, each with targets of its own width;
    ``RefineNet`` predicts them again from all levels together, trained on the hard
    keypoints. The targets are L level targets, from the narrowest kernel to the
    widest, and RefineNet's last: one :class:`CPNHeatmap` each.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's levels, fine to
            coarse.
        out_channels (int): Number of keypoints K.
        feat_channels (int): Channels of the pyramid. Defaults to 256.
        global_net (dict): Config of :class:`GlobalNet`; channels are added.
        refine_net (dict, optional): Config of :class:`RefineNet`; channels are added.
            ``None`` leaves GlobalNet alone, the paper's baseline. Defaults to
            ``dict(type='RefineNet')``.
        global_loss (dict, optional): Loss of each GlobalNet level, summed over levels.
            pytorch-cpn's weight is 0.5, tf-cpn's 0.125. ``None`` trains RefineNet
            only and leaves GlobalNet's prediction layers out. Defaults to
            ``KeypointMSELoss`` with weight 0.5.
        loss (dict): Loss of RefineNet. Without a RefineNet it has no effect. Defaults
            to ``OHKMMSELoss`` with ``topk=8``.
        level_order (str): Which level learns which width. ``'pytorch-cpn'``: the
            finest the narrowest. ``'tf-cpn'``: the finest the widest, which its
            author calls an oversight kept for the released weights. Defaults to
            ``'pytorch-cpn'``.
        decoder (dict, optional): Codec that decodes heatmaps. Defaults to ``None``.
        init_cfg (dict, optional): Initialisation. Defaults to
            :attr:`default_init_cfg`.

    Raises:
        ValueError: For settings that contradict one another, and in use for features
            or targets that do not fit the head.
    """

    _version = 2

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
            self.refine_net = MODELS.build(
                refine_net,
                default_args=dict(
                    feat_channels=feat_channels, out_channels=out_channels
                ),
            )
            num_levels = len(self.refine_net.cascade)
            if num_levels > len(in_channels):
                raise ValueError(
                    f'head.refine_net.num_bottlenecks has more levels, {num_levels}, '
                    f'than head.in_channels {tuple(in_channels)}'
                )
        self.decoder = None if decoder is None else KEYPOINT_CODECS.build(decoder)
        # Many channels are resized and joined: a third faster so than channels first.
        self.to(memory_format=torch.channels_last)

    @property
    def default_init_cfg(self) -> list[dict]:
        """He initialisation by fan-out, as pytorch-cpn's."""
        return [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', layer='BatchNorm2d', val=1),
        ]

    def _pyramid(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Check the backbone's features and merge them."""
        channels = tuple(x.shape[1] for x in feats)
        if channels != self.in_channels:
            raise ValueError(
                f'the backbone gives {len(channels)} levels of {channels} channels, '
                f'head.in_channels is {self.in_channels} (fine to coarse)'
            )
        return self.global_net(feats)

    def forward(
        self, feats: Sequence[Tensor], stage: str | None = None
    ) -> tuple[Tensor, ...]:
        """Predict heatmaps.

        Args:
            feats (Sequence[Tensor]): Backbone features, fine to coarse.
            stage (str, optional): ``'global'`` for GlobalNet's finest level alone,
                ``'refine'`` for RefineNet alone; layers that it does not need are not
                computed. ``None`` for all. Defaults to ``None``.

        Returns:
            tuple[Tensor, ...]: GlobalNet's heatmaps from the finest level to the
            coarsest, then RefineNet's, each (B, K, H, W) at the finest size. A stage
            that the head does not have is left out.
        """
        pyramid = self._pyramid(feats)
        maps = []
        if self.global_loss is not None and stage != 'refine':
            maps += self.global_net.predict(pyramid[:1] if stage else pyramid)
        if self.refine_net is not None and stage != 'global':
            maps.append(self.refine_net(pyramid))
        return tuple(maps)

    def _test_stage(self, test_cfg: ConfigType) -> str:
        """Which stage's heatmaps are decoded at test."""
        nets = {'global': self.global_loss, 'refine': self.refine_net}
        stages = [stage for stage, net in nets.items() if net is not None]
        stage = test_cfg.get('stage', stages[-1])
        if stage not in stages:
            raise ValueError(
                f'test_cfg.stage must be one of {stages} for this head, got {stage!r}'
            )
        return stage

    def predict(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        test_cfg: ConfigType = {},  # noqa: B006
    ) -> Predictions:
        """Predict keypoints from features.

        Args:
            feats (Sequence[Tensor]): Backbone features, fine to coarse; a list of two
                such, of the image and of its mirror image, with ``flip_test``.
            batch_data_samples (list[PoseDataSample]): The samples; ``flip_test`` reads
                the keypoints' ``flip_indices`` from the first.
            test_cfg (dict): ``flip_test``, ``flip_mode``, ``shift_heatmap`` and
                ``output_heatmaps`` as in MMPose; ``stage``, ``'refine'`` or
                ``'global'``, is the stage that is decoded, by default the last one
                the head has; ``output_global`` (default ``False``) adds GlobalNet's
                keypoints to those of the stage.

        Returns:
            list[InstanceData] | tuple[list[InstanceData], list[PixelData]]: Poses with
            ``keypoints`` (1, K, 2) in pixels of the network input and
            ``keypoint_scores`` (1, K); with ``output_global`` the same of GlobalNet as
            ``global_keypoints`` and ``global_keypoint_scores``; and with
            ``output_heatmaps`` the heatmaps (K, H, W) they were decoded from.
        """
        flip_indices = None
        if test_cfg.get('flip_test', False):
            flip_indices = batch_data_samples[0].metainfo['flip_indices']
        stage = self._test_stage(test_cfg)
        heatmaps = self._test_heatmaps(feats, stage, test_cfg, flip_indices)
        poses = self.decode(heatmaps)
        if test_cfg.get('output_global', False):
            if self.global_loss is None:
                raise ValueError(
                    'test_cfg.output_global needs a GlobalNet that predicts, but '
                    'head.global_loss is None'
                )
            before = self._test_heatmaps(feats, 'global', test_cfg, flip_indices)
            for pose, other in zip(poses, self.decode(before), strict=True):
                pose.global_keypoints = other.keypoints
                pose.global_keypoint_scores = other.keypoint_scores
        if test_cfg.get('output_heatmaps', False):
            return poses, [PixelData(heatmaps=x) for x in heatmaps.detach()]
        return poses

    def _test_heatmaps(
        self,
        feats: Sequence[Tensor],
        stage: str,
        test_cfg: ConfigType,
        flip_indices: Sequence[int] | None,
    ) -> Tensor:
        """A stage's heatmaps (B, K, H, W), averaged with the mirror image's."""
        if flip_indices is None:
            return self.forward(feats, stage)[0]
        plain, mirrored = (self.forward(x, stage)[0] for x in feats)
        mirrored = flip_heatmaps(
            mirrored,
            flip_mode=test_cfg.get('flip_mode', 'heatmap'),
            flip_indices=flip_indices,
            shift_heatmap=test_cfg.get('shift_heatmap', False),
        )
        return (plain + mirrored) / 2

    def _targets(
        self, batch_data_samples: OptSampleList
    ) -> tuple[list[Tensor], Tensor]:
        """Collect L + 1 targets (B, K, H, W) and their weights (L + 1, B, K)."""
        num_targets = len(self.in_channels) + 1
        # Targets of a single codec come as PixelData, without levels.
        found = getattr(batch_data_samples[0].gt_fields, 'nlevel', 1)
        if found != num_targets:
            raise ValueError(
                f'the pipeline makes {found} targets, the head needs {num_targets}: '
                f'GenerateTarget.encoder must list one codec for each of the '
                f'{num_targets - 1} levels and one for RefineNet, with multilevel=True'
            )
        targets = [
            torch.stack([d.gt_fields[i].heatmaps for d in batch_data_samples])
            for i in range(num_targets)
        ]
        # One person a sample, so that (L + 1, 1, K) and (1, L + 1, K), the two ways
        # in which MMPose packs multilevel weights, hold the same numbers in order.
        weights = torch.stack(
            [
                d.gt_instance_labels.keypoint_weights.reshape(num_targets, -1)
                for d in batch_data_samples
            ],
            dim=1,
        )
        return targets, weights

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
                accuracy of the stage that is decoded at test.

        Returns:
            dict[str, Tensor]: ``loss_global`` and ``loss_refine``, as far as the head
            has the stage, and ``acc_pose``.
        """
        maps = self.forward(feats)
        targets, weights = self._targets(batch_data_samples)
        if targets[-1].shape[1:] != maps[-1].shape[1:]:
            raise ValueError(
                f'the targets are {tuple(targets[-1].shape[1:])} (K, H, W), the '
                f'heatmaps {tuple(maps[-1].shape[1:])}: K is head.out_channels, H and '
                'W are codec.heatmap_size, which must be codec.input_size divided by '
                "the backbone's finest stride"
            )
        levels = list(range(len(self.in_channels)))
        if self.level_order == 'tf-cpn':
            levels.reverse()

        losses = {}
        if self.global_loss is not None:
            losses['loss_global'] = sum(
                self.global_loss(x, targets[i], weights[i])
                for x, i in zip(maps, levels, strict=False)
            )
        if self.refine_net is not None:
            losses['loss_refine'] = self.loss_module(maps[-1], targets[-1], weights[-1])
        if train_cfg.get('compute_acc', True):
            last = maps[0] if self.refine_net is None else maps[-1]
            losses['acc_pose'] = pck_accuracy(
                last.detach(), targets[-1], weights[-1] > 0
            )
        return losses
