# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from rmpe_plugin.ops import decode_cpn, decode_visibility


def _blurred_deltas(size: int, kernel_size: int) -> np.ndarray:
    """Blurred unit impulses (size, size): row i is the impulse at i, scaled to peak 1.

    OpenCV's Gaussian blur reflects at the border, so near the border the peak is higher
    and can be beside i. Both public implementations divide by that peak.
    """
    deltas = cv2.GaussianBlur(np.eye(size, dtype=np.float32), (kernel_size, 1), 0)
    return deltas / deltas.max(axis=1, keepdims=True)


@KEYPOINT_CODECS.register_module()
class CPNHeatmap(BaseKeypointCodec):
    """Codec of CPN: Gaussian heatmaps with peak 255, and CPN's decoding.

    One codec makes the target of one level. ``GenerateTarget(multilevel=True)`` takes a
    list of codecs: one for each level of GlobalNet, from the narrowest kernel to the
    widest, then RefineNet's, which is also the head's ``decoder``. Paper sections 3.2
    and 4.1; constants of github.com/chenyilun95/tf-cpn and
    github.com/GengDavid/pytorch-cpn, which are the same.

    Note:
        - instance number: N, always 1
        - keypoint number: K
        - image size: [w, h]
        - heatmap size: [W, H]

    A score is the value of the heatmap divided by 255, clipped to [0, 1], and
    calibrated if ``calibration`` is given. The reference implementations add 0.5, which
    affects the ranking of people and so AP, as ``PoseNMSCocoMetric`` does with
    ``score_offset=0.5``.

    Encoded:
        - heatmaps (np.ndarray): Targets (K, H, W). With ``separable=True`` instead
          target_rows (N, K, H) and target_columns (N, K, W), whose outer products are
          the targets, see :func:`rmpe_plugin.ops.render_targets`.
        - keypoint_weights (np.ndarray): Loss weights (N, K).

    Args:
        input_size (tuple[int, int]): Network input [w, h], pixels.
        heatmap_size (tuple[int, int]): Heatmaps [W, H], pixels.
        kernel_size (int): Odd width of the Gaussian, heatmap pixels. At 256x192 the
            levels use 7, 9, 11, 15 and RefineNet 7; at 384x288 9, 13, 17, 23 and 9.
        occluded (str): Target of an occluded keypoint (COCO v = 1). ``'keep'``: a
            Gaussian, as for a visible one; keypoints that are not labelled or are
            outside the heatmap have weight 0. ``'empty'``: an empty heatmap, as for one
            that is not labelled, and all weights are 1, but those of keypoints that a
            data set does not have, see ``KeypointConverter``. Both public
            implementations supervise GlobalNet in this way
            (github.com/chenyilun95/tf-cpn issue 8). It needs :class:`RawVisibility` in
            the pipeline. Defaults to ``'keep'``.
        blur_kernel_size (int): Width of the blur before decoding, heatmap pixels.
            Defaults to 21.
        calibration (Sequence[float], optional): Slope and intercept of the logistic
            function that maps the scores to the probability that a keypoint is correct.
            :class:`ScoreReliabilityMetric` fits them. Defaults to ``None``.
        separable (bool): Whether :meth:`encode` returns rows and columns of the
            Gaussians instead of heatmaps. Only :class:`CPNHead` accepts them; it
            computes the heatmaps on its device. Defaults to ``False``.

    Raises:
        ValueError: If a kernel size is not odd and positive, ``occluded`` is unknown,
            ``calibration`` is not two finite numbers, or the heatmap is larger than the
            input.
    """

    label_mapping_table = dict(keypoint_weights='keypoint_weights')
    field_mapping_table = dict(heatmaps='heatmaps')

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        kernel_size: int,
        occluded: str = 'keep',
        blur_kernel_size: int = 21,
        separable: bool = False,
        calibration: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        for name, size in (
            ('kernel_size', kernel_size),
            ('blur_kernel_size', blur_kernel_size),
        ):
            if size < 1 or size % 2 == 0:
                raise ValueError(f'codec.{name} must be odd and positive, got {size}')
        if calibration is not None and not (
            np.shape(calibration) == (2,) and np.isfinite(calibration).all()
        ):
            raise ValueError(
                'codec.calibration must be slope and intercept, two finite numbers, '
                f'got {calibration}'
            )
        if occluded not in ('keep', 'empty'):
            raise ValueError(
                f"codec.occluded must be 'keep' or 'empty', got {occluded!r}"
            )
        self.input_size = input_size
        self.heatmap_size = heatmap_size
        self.kernel_size = kernel_size
        self.occluded = occluded
        self.blur_kernel_size = blur_kernel_size
        self.calibration = calibration
        self.separable = separable
        if separable:
            labels = ('keypoint_weights', 'target_rows', 'target_columns')
            self.label_mapping_table = {name: name for name in labels}
            self.field_mapping_table = {}
        self.scale_factor = np.divide(input_size, heatmap_size)
        if not (self.scale_factor >= 1).all():
            raise ValueError(
                'codec.heatmap_size must not be larger than codec.input_size, got '
                f'{heatmap_size} for {input_size}'
            )
        self.columns = _blurred_deltas(heatmap_size[0], kernel_size)
        self.rows = _blurred_deltas(heatmap_size[1], kernel_size)

    @property
    def auxiliary_encode_keys(self) -> set[str]:
        """Additional keys of the results that :meth:`encode` needs."""
        return {'keypoints_visible_weights'} if self.occluded == 'empty' else set()

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_visible_weights: np.ndarray | None = None,
    ) -> dict:
        """Make the target of one level.

        Args:
            keypoints (np.ndarray): (1, K, 2), pixels of the network input.
            keypoints_visible (np.ndarray, optional): (1, K), positive for labelled
                keypoints; with ``occluded='empty'``, what
                :func:`rmpe_plugin.ops.encode_visibility` returned. Defaults to
                ``None``: all are labelled.
            keypoints_visible_weights (np.ndarray, optional): (1, K), positive for
                keypoints that the data set has. Only used with ``occluded='empty'``.
                Defaults to ``None``: all.

        Returns:
            dict: ``heatmaps``, or ``target_rows`` and ``target_columns``; and
            ``keypoint_weights``; see the class.

        Raises:
            ValueError: If there is more than one instance, if a labelled keypoint is
                not finite, or if ``occluded='empty'`` and the visibility is not
                encoded.
        """
        if len(keypoints) != 1:
            raise ValueError(
                f'CPNHeatmap encodes one instance per call, got {len(keypoints)}'
            )
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2])
        labelled = keypoints_visible[0] > 0
        invalid = labelled & ~np.isfinite(keypoints[0]).all(axis=1)
        if invalid.any():
            raise ValueError(
                f'keypoints {np.flatnonzero(invalid).tolist()} are labelled, but their '
                'coordinates are not finite'
            )
        # Unlabelled keypoints may be NaN; -1 is outside.
        position = np.where(labelled[:, None], keypoints[0], -1)
        pixel = np.floor(position / self.scale_factor)  # (K, 2), heatmap pixels
        inside = ((pixel >= 0) & (pixel < self.heatmap_size)).all(axis=1)
        usable = labelled & inside

        if self.occluded == 'empty':
            try:
                drawn = usable & decode_visibility(keypoints_visible[0])
            except ValueError as error:
                raise ValueError(
                    "codec.occluded='empty' needs the annotated visibility: put "
                    "dict(type='RawVisibility') before RandomFlip and "
                    'KeypointConverter in the pipeline'
                ) from error
            weights = np.ones_like(labelled)
            if keypoints_visible_weights is not None:
                weights = keypoints_visible_weights[0] > 0
        else:
            drawn = weights = usable

        x, y = np.where(inside[:, None], pixel, 0).astype(np.int64).T
        rows = self.rows[y] * (255 * drawn.astype(np.float32))[:, None]  # (K, H)
        columns = self.columns[x]  # (K, W)
        encoded = dict(keypoint_weights=weights.astype(np.float32)[None])
        if self.separable:
            return dict(encoded, target_rows=rows[None], target_columns=columns[None])
        return dict(encoded, heatmaps=rows[:, :, None] * columns[:, None, :])

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode the heatmaps of one person.

        Args:
            encoded (np.ndarray): Heatmaps (K, H, W).

        Returns:
            tuple[np.ndarray, np.ndarray]: Keypoints (1, K, 2) in pixels of the network
            input, and their scores (1, K) in [0, 1].
        """
        keypoints, scores = self.batch_decode(torch.from_numpy(encoded)[None])
        return keypoints[0], scores[0]

    def batch_decode(
        self, batch_encoded: Tensor
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Decode a batch of heatmaps, on their device.

        Args:
            batch_encoded (Tensor): Heatmaps (B, K, H, W).

        Returns:
            tuple[list[np.ndarray], list[np.ndarray]]: For each person, keypoints
            (1, K, 2) in pixels of the network input, and their scores (1, K) in [0, 1].

        Raises:
            ValueError: If the heatmaps have another size than ``heatmap_size``.
        """
        width, height = self.heatmap_size
        if batch_encoded.shape[2:] != (height, width):
            raise ValueError(
                f'the heatmaps are {tuple(batch_encoded.shape[2:])} (H, W), but '
                f'codec.heatmap_size [W, H] is {self.heatmap_size}: it must be '
                "codec.input_size divided by the backbone's finest stride"
            )
        poses = self.decode_tensors(batch_encoded)
        keypoints, scores = (x.unsqueeze(1).cpu().numpy() for x in poses)
        return list(keypoints), list(scores)

    def decode_tensors(
        self, heatmaps: Tensor, dtype: torch.dtype = torch.float64
    ) -> tuple[Tensor, Tensor]:
        """Decode a batch of heatmaps with tensor operations only.

        Args:
            heatmaps (Tensor): Heatmaps (B, K, H, W).
            dtype (torch.dtype): See :func:`rmpe_plugin.ops.decode_cpn`. Defaults to
                float64.

        Returns:
            tuple[Tensor, Tensor]: Keypoints (B, K, 2) in pixels of the network input,
            and their scores (B, K) in [0, 1].
        """
        keypoints, scores = decode_cpn(heatmaps, self.blur_kernel_size, dtype)
        # A heatmap pixel covers scale_factor input pixels; the keypoint is at their
        # centre (4 x + 2 for a stride of 4). Numbers need no copy to the device.
        axes = zip(keypoints.unbind(dim=-1), self.scale_factor.tolist(), strict=True)
        keypoints = torch.stack([(x + 0.5) * scale for x, scale in axes], dim=-1)
        scores = scores.clamp(0, 1)
        if self.calibration is not None:
            slope, intercept = self.calibration
            scores = torch.sigmoid(slope * scores + intercept)
        return keypoints, scores
