# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import (
    bbox_xyxy2cs,
    flip_bbox,
    get_udp_warp_matrix,
    get_warp_matrix,
)

from rmpe_plugin.ops import theta_from_pixels


@TRANSFORMS.register_module()
class KeepGroundTruthBox(BaseTransform):
    """Save the centre and scale of the ground-truth box before it is perturbed.

    Place it after ``RandomFlip`` and the transform that makes ``bbox_center`` and
    ``bbox_scale``, and before ``RandomBBoxTransform``. If ``PoseGuidedProposal``
    replaced the box by a proposal, the ground-truth box is padded by the factors of the
    proposal.

    Required Keys:
        - bbox_center (1, 2), pixels
        - bbox_scale (1, 2), pixels
        - bbox (1, 4), xyxy, pixels
        - gt_bbox (1, 4), xyxy, pixels, and gt_flip, only after
          ``PoseGuidedProposal``

    Added Keys:
        - gt_center (1, 2), pixels
        - gt_scale (1, 2), pixels
        - gt_flip (bool): whether the image is already flipped

    Raises:
        ValueError: If ``RandomBBoxTransform`` or ``RandomHalfBody`` has already changed
            the crop, so that it is not around ``bbox``.
    """

    def transform(self, results: dict) -> dict:
        """Add the keys; see the class."""
        _check_unperturbed(results)
        center, scale = results['bbox_center'].copy(), results['bbox_scale'].copy()
        flip = results.get('flip', False)
        if 'gt_bbox' in results:
            center, gt_size = bbox_xyxy2cs(results['gt_bbox'])
            scale *= gt_size / bbox_xyxy2cs(results['bbox'])[1]
            if flip != results['gt_flip']:
                center = flip_bbox(
                    center,
                    image_size=results['img_shape'][1::-1],
                    bbox_format='center',
                    direction=results['flip_direction'],
                )
        results.update(gt_center=center, gt_scale=scale, gt_flip=flip)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


def _check_unperturbed(results: dict) -> None:
    """Raise a ValueError if the crop is not around the box any more."""
    if 'bbox_rotation' in results:
        raise ValueError(
            'KeepGroundTruthBox must be before RandomBBoxTransform in the pipeline'
        )
    crop = results['bbox_center']
    box, size = bbox_xyxy2cs(results['bbox'])
    if not np.allclose(crop, box, rtol=0, atol=0.01 * size.max()):
        raise ValueError(
            f'KeepGroundTruthBox got a crop around {crop[0].tolist()} and a box around '
            f'{box[0].tolist()}: no transform before it may move the crop; remove '
            'RandomHalfBody from the pipeline'
        )


@TRANSFORMS.register_module()
class GroundTruthWindow(BaseTransform):
    """Compute the ground-truth window: the theta that the STN should predict.

    It warps the crop of a perturbed box to the crop that the same pipeline makes of the
    ground-truth box. They differ by a shift and a scale. A rotation by
    ``RandomBBoxTransform`` is an augmentation, not a detector's error, so both crops
    have it. Place it after ``TopdownAffine``.

    Required Keys:
        - gt_center (1, 2), gt_scale (1, 2), pixels, and gt_flip, from
          :class:`KeepGroundTruthBox`
        - bbox_center (1, 2), bbox_scale (1, 2), pixels
        - bbox_rotation (1,), degrees, optional
        - input_size (w, h), pixels

    Added Keys:
        - theta_gt (2, 3), float32, see :mod:`rmpe_plugin.ops.rmpe.affine`

    Args:
        use_udp (bool): As ``TopdownAffine``'s. Defaults to ``False``.

    Raises:
        ValueError: If ``KeepGroundTruthBox`` is not in the pipeline, or before
            ``RandomFlip``.
    """

    def __init__(self, use_udp: bool = False) -> None:
        self.use_udp = use_udp

    def transform(self, results: dict) -> dict:
        """Add ``theta_gt``; see the class."""
        if 'gt_center' not in results:
            raise ValueError(
                'GroundTruthWindow needs the ground-truth box: put '
                'KeepGroundTruthBox before RandomBBoxTransform in the pipeline'
            )
        if results['gt_flip'] != results.get('flip', False):
            raise ValueError(
                'KeepGroundTruthBox must be after RandomFlip in the pipeline'
            )
        width, height = results['input_size']
        gt_scale = TopdownAffine._fix_aspect_ratio(
            results['gt_scale'], aspect_ratio=width / height
        )
        rotation = results.get('bbox_rotation', [0.0])[0]
        image_to_crop, image_to_gt_crop = (
            self._image_to_crop(center[0], scale[0], rotation, (width, height))
            for center, scale in (
                (results['bbox_center'], results['bbox_scale']),
                (results['gt_center'], gt_scale),
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
