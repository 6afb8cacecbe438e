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
class KeepTrueBox(BaseTransform):
    """Remember the true box's crop before the box is perturbed.

    It stands after ``RandomFlip`` and the transform that makes ``bbox_center`` and
    ``bbox_scale``, and before ``RandomBBoxTransform``. Where a proposal has taken the
    true box's place, the true box is grown by the same factors as the proposal was.

    Required Keys:
        - bbox_center (1, 2), pixels
        - bbox_scale (1, 2), pixels
        - bbox and gt_bbox (1, 4), xyxy, pixels, and gt_flip, from
          ``PoseGuidedProposal`` if there is one

    Added Keys:
        - gt_center (1, 2), pixels
        - gt_scale (1, 2), pixels
        - gt_flip (bool): whether the image was flipped by then
    """

    def transform(self, results: dict) -> dict:
        """Copy centre and scale; see the class."""
        center, scale = results['bbox_center'].copy(), results['bbox_scale'].copy()
        flip = results.get('flip', False)
        if 'gt_bbox' in results:
            center, true_size = bbox_xyxy2cs(results['gt_bbox'])
            scale *= true_size / bbox_xyxy2cs(results['bbox'])[1]
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


@TRANSFORMS.register_module()
class TrueWindow(BaseTransform):
    """Find where in the crop the true box's own crop lies: the theta to be learnt.

    The crop of a perturbed box and the one that the same pipeline would have made of
    the true box differ by a shift and a scale. A rotation by ``RandomBBoxTransform`` is
    an augmentation and no error of a detector, so both have it. It stands after
    ``TopdownAffine``.

    Required Keys:
        - gt_center, gt_scale and gt_flip, from :class:`KeepTrueBox`
        - bbox_center (1, 2), bbox_scale (1, 2), pixels
        - bbox_rotation (1,), degrees, optional
        - input_size (w, h), pixels

    Added Keys:
        - theta_gt (2, 3): theta, float32, see :mod:`rmpe_plugin.ops.affine`

    Args:
        use_udp (bool): As ``TopdownAffine``'s. Defaults to ``False``.

    Raises:
        ValueError: If KeepTrueBox is not in the pipeline, or stands before RandomFlip.
    """

    def __init__(self, use_udp: bool = False) -> None:
        self.use_udp = use_udp

    def transform(self, results: dict) -> dict:
        """Add ``theta_gt``; see the class."""
        if 'gt_center' not in results:
            raise ValueError(
                'TrueWindow needs the true box: put KeepTrueBox before '
                'RandomBBoxTransform in the pipeline'
            )
        if results['gt_flip'] != results.get('flip', False):
            raise ValueError('KeepTrueBox must stand after RandomFlip in the pipeline')
        width, height = results['input_size']
        gt_scale = TopdownAffine._fix_aspect_ratio(
            results['gt_scale'], aspect_ratio=width / height
        )
        warp_matrix = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        rotation = results.get('bbox_rotation', [0.0])[0]
        crop, true = (
            np.vstack(
                (
                    warp_matrix(center[0], scale[0], rotation, (width, height)),
                    (0, 0, 1),
                )
            )
            for center, scale in (
                (results['bbox_center'], results['bbox_scale']),
                (results['gt_center'], gt_scale),
            )
        )
        pixels = (crop @ np.linalg.inv(true))[:2]
        size = (height, width)
        theta = theta_from_pixels(torch.from_numpy(pixels), size, size)
        results['theta_gt'] = theta.numpy().astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(use_udp={self.use_udp})'
