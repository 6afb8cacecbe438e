# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import (
    bbox_xyxy2cs,
    flip_bbox,
    get_udp_warp_matrix,
    get_warp_matrix,
)

from rmpe_plugin.ops import theta_from_pixels


@TRANSFORMS.register_module()
class SSTNBBoxCenterScale(GetBBoxCenterScale):
    """``GetBBoxCenterScale`` that also keeps the crop of the ground-truth box.

    Replaces ``GetBBoxCenterScale`` in stage 2 of RMPE. Later transforms may perturb the
    crop, as ``RandomBBoxTransform`` does, or flip the image.

    Required Keys:
        - bbox (1, 4), xyxy, pixels
        - gt_bbox (1, 4), xyxy, pixels, and gt_flip, only after
          ``PoseGuidedProposal``, which replaced ``bbox`` by a proposal

    Added Keys:
        - bbox_center (1, 2), pixels
        - bbox_scale (1, 2), pixels
        - gt_center (1, 2), pixels
        - gt_scale (1, 2), pixels
        - gt_flip (bool): whether the image of the ground-truth box is flipped

    Args:
        kwargs: As ``GetBBoxCenterScale``'s.
    """

    def transform(self, results: dict) -> dict:
        """Add the keys; see the class."""
        results = super().transform(results)
        gt_bbox = results.get('gt_bbox', results['bbox'])
        center, scale = bbox_xyxy2cs(gt_bbox, padding=self.padding)
        results.update(gt_center=center, gt_scale=scale)
        results.setdefault('gt_flip', results.get('flip', False))
        return results


@TRANSFORMS.register_module()
class GroundTruthWindow(BaseTransform):
    """Compute the ground-truth window: the theta that the STN should predict.

    It warps the crop of a perturbed box to the crop that the same pipeline makes of the
    ground-truth box. They differ by a shift and a scale. A rotation by
    ``RandomBBoxTransform`` is an augmentation, not a detector's error, so both crops
    have it. Place it after ``TopdownAffine`` in pipelines without targets, for
    :class:`WindowIoUMetric`; :class:`GenerateSSTNTarget` contains it.

    Required Keys:
        - gt_center (1, 2), gt_scale (1, 2), pixels, and gt_flip, from
          :class:`SSTNBBoxCenterScale` or :class:`CPNBBoxCenterScale`
        - bbox_center (1, 2), bbox_scale (1, 2), pixels
        - bbox_rotation (1,), degrees, optional
        - input_size (w, h), pixels

    Added Keys:
        - theta_gt (2, 3), float32, see :mod:`rmpe_plugin.ops.rmpe.affine`

    Args:
        use_udp (bool): As ``TopdownAffine``'s. Defaults to ``False``.

    Raises:
        ValueError: If the crop of the ground-truth box is missing, or if
            ``TopdownAffine`` is not before it.
    """

    def __init__(self, use_udp: bool = False) -> None:
        self.use_udp = use_udp

    def transform(self, results: dict) -> dict:
        """Add ``theta_gt``; see the class."""
        if 'gt_center' not in results:
            raise ValueError(
                'GroundTruthWindow needs the crop of the ground-truth box: replace '
                'GetBBoxCenterScale by SSTNBBoxCenterScale in the pipeline'
            )
        if 'input_size' not in results:
            raise ValueError('GroundTruthWindow must be after TopdownAffine')
        width, height = results['input_size']
        gt_scale = TopdownAffine._fix_aspect_ratio(
            results['gt_scale'], aspect_ratio=width / height
        )
        rotation = results.get('bbox_rotation', [0.0])[0]
        image_to_crop, image_to_gt_crop = (
            self._image_to_crop(center[0], scale[0], rotation, (width, height))
            for center, scale in (
                (results['bbox_center'], results['bbox_scale']),
                (_flipped_gt_center(results), gt_scale),
            )
        )
        gt_crop_to_crop = (image_to_crop @ np.linalg.inv(image_to_gt_crop))[:2]
        size = (height, width)
        theta = theta_from_pixels(torch.from_numpy(gt_crop_to_crop), size, size)
        results['theta_gt'] = theta.numpy().astype(np.float32)
        return results

    def _image_to_crop(
        self,
        center: np.ndarray,
        scale: np.ndarray,
        rotation: float,
        size: tuple[int, int],
    ) -> np.ndarray:
        """Matrix (3, 3) from pixels of the image to pixels of a crop of size (w, h)."""
        get_matrix = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        return np.vstack((get_matrix(center, scale, rotation, size), (0, 0, 1)))

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(use_udp={self.use_udp})'


def _flipped_gt_center(results: dict) -> np.ndarray:
    """``gt_center`` (1, 2) in the image as it is now, which a later flip mirrored."""
    if results['gt_flip'] == results.get('flip', False):
        return results['gt_center']
    return flip_bbox(
        results['gt_center'],
        image_size=results['img_shape'][1::-1],
        bbox_format='center',
        direction=results['flip_direction'],
    )
