# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from rmpe_plugin.ops import decode_heatmaps


def _blurred_deltas(size: int, kernel_size: int) -> np.ndarray:
    """Row i is a delta at i after OpenCV's Gaussian blur, scaled to peak at 1.

    OpenCV reflects at the border, which lifts the peak of a joint near the edge off
    the joint itself; both public implementations divide by that peak.
    """
    deltas = cv2.GaussianBlur(np.eye(size, dtype=np.float32), (kernel_size, 1), 0)
    return deltas / deltas.max(axis=1, keepdims=True)


@KEYPOINT_CODECS.register_module()
class CPNHeatmap(BaseKeypointCodec):
    """CPN's heatmaps: Gaussian spots that peak at 255, and how CPN reads them.

    One codec makes the targets of one level. A CPN takes a list of them, one for each
    GlobalNet level from the narrowest kernel to the widest, then RefineNet's, given to
    ``GenerateTarget(multilevel=True)``; the last one is the head's ``decoder``. Paper
    sections 3.2 and 4.1; constants from github.com/chenyilun95/tf-cpn and
    github.com/GengDavid/pytorch-cpn, which share them.

    Note:
        - instance number: N, always 1
        - keypoint number: K
        - image size: [w, h]
        - heatmap size: [W, H]

    Encoded:
        - heatmaps (np.ndarray): Targets (K, H, W).
        - keypoint_weights (np.ndarray): Loss weights (N, K).

    Args:
        input_size (tuple[int, int]): Network input [w, h], pixels.
        heatmap_size (tuple[int, int]): Heatmaps [W, H], pixels.
        kernel_size (int): Odd width of the Gaussian, heatmap pixels. At 256x192 the
            levels use 7, 9, 11, 15 and RefineNet 7; at 384x288 9, 13, 17, 23 and 9.
        hidden (str): What a joint that is labelled but not seen (COCO v = 1) is
            trained to. ``'keep'``: to its place; joints that are not labelled or lie
            outside the map have weight 0. ``'empty'``: to an empty map, as
            unlabelled ones are, all with weight 1, which is how both public
            implementations supervise GlobalNet (github.com/chenyilun95/tf-cpn issue
            8); it needs :class:`RawVisibility` in the pipeline. Defaults to
            ``'keep'``.
        blur_kernel_size (int): Blur before decoding, heatmap pixels. Defaults to 21.

    Raises:
        ValueError: If ``kernel_size``, ``hidden`` or the sizes make no sense.
    """

    label_mapping_table = dict(keypoint_weights='keypoint_weights')
    field_mapping_table = dict(heatmaps='heatmaps')

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        kernel_size: int,
        hidden: str = 'keep',
        blur_kernel_size: int = 21,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f'codec.kernel_size must be odd and positive, got {kernel_size}'
            )
        if hidden not in ('keep', 'empty'):
            raise ValueError(f"codec.hidden must be 'keep' or 'empty', got {hidden!r}")
        self.input_size = input_size
        self.heatmap_size = heatmap_size
        self.kernel_size = kernel_size
        self.hidden = hidden
        self.blur_kernel_size = blur_kernel_size
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
        """What :meth:`encode` needs beside keypoints and visibility."""
        return {'keypoints_visible_weights'} if self.hidden == 'empty' else set()

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_visible_weights: np.ndarray | None = None,
    ) -> dict:
        """Make one level's targets.

        Args:
            keypoints (np.ndarray): (1, K, 2), pixels of the network input.
            keypoints_visible (np.ndarray, optional): (1, K), above 0 where labelled;
                ``None`` labels all.
            keypoints_visible_weights (np.ndarray, optional): (1, K), above 0 where
                seen (COCO v = 2). Used with ``hidden='empty'`` only.

        Returns:
            dict: ``heatmaps`` and ``keypoint_weights``, see the class.

        Raises:
            ValueError: For more than one instance, for a labelled keypoint that is
                not finite, or if ``hidden='empty'`` is not told what is seen.
        """
        if len(keypoints) != 1:
            raise ValueError(
                f'CPNHeatmap encodes one person at a time, got {len(keypoints)}'
            )
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2])
        labelled = keypoints_visible[0] > 0
        broken = labelled & ~np.isfinite(keypoints[0]).all(axis=1)
        if broken.any():
            raise ValueError(
                f'keypoints {np.flatnonzero(broken).tolist()} are labelled visible but '
                'their coordinates are not finite'
            )
        place = np.where(labelled[:, None], keypoints[0], -1)
        cell = np.floor(place / self.scale_factor)
        inside = ((cell >= 0) & (cell < self.heatmap_size)).all(axis=1)
        known = labelled & inside

        if self.hidden == 'empty':
            if keypoints_visible_weights is None:
                raise ValueError(
                    "codec.hidden='empty' needs raw visibility: put "
                    "dict(type='RawVisibility') before RandomFlip in the pipeline"
                )
            drawn = known & (keypoints_visible_weights[0] > 0)
            weights = np.ones_like(labelled)
        else:
            drawn = weights = known

        x, y = np.where(inside[:, None], cell, 0).astype(np.int64).T
        spots = self.rows[y][:, :, None] * self.columns[x][:, None, :]
        heatmaps = spots * (255 * drawn.astype(np.float32))[:, None, None]
        return dict(
            heatmaps=heatmaps, keypoint_weights=weights.astype(np.float32)[None]
        )

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode one person's heatmaps.

        Args:
            encoded (np.ndarray): Heatmaps (K, H, W).

        Returns:
            tuple[np.ndarray, np.ndarray]: Keypoints (1, K, 2) in pixels of the network
            input, and their scores (1, K).
        """
        keypoints, scores = self.batch_decode(torch.from_numpy(encoded)[None])
        return keypoints[0], scores[0]

    def batch_decode(
        self, batch_encoded: Tensor
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Decode a batch of heatmaps on the device that holds them.

        Args:
            batch_encoded (Tensor): Heatmaps (B, K, H, W).

        Returns:
            tuple[list[np.ndarray], list[np.ndarray]]: For every person keypoints
            (1, K, 2) in pixels of the network input, and their scores (1, K).
        """
        keypoints, scores = decode_heatmaps(batch_encoded, self.blur_kernel_size)
        # A heatmap pixel covers scale_factor input pixels; the joint is put in their
        # middle (4 x + 2 for a stride of 4).
        keypoints = (keypoints.cpu().numpy() + 0.5) * self.scale_factor
        scores = scores.cpu().numpy()
        return list(keypoints[:, None]), list(scores[:, None])
