# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpose.registry import TRANSFORMS

from rmpe_plugin.ops import ProposalModel


@TRANSFORMS.register_module()
class PoseGuidedProposal(BaseTransform):
    """Replace the ground-truth box by a proposal that resembles a detection.

    This is the pose-guided proposals generator (PGPG) of the RMPE paper, section 3.3.
    It precedes the transform that adds ``bbox_center`` and ``bbox_scale``, and replaces
    the shift and scale of ``RandomBBoxTransform``. Use MMEngine's ``RepeatDataset`` for
    several proposals per person and epoch.

    Required Keys:
        - bbox (N, 4), xyxy, pixels
        - keypoints (N, K, 2), pixels
        - keypoints_visible (N, K), or (N, K, 2) from ``RawVisibility``
        - img_shape (h, w), with ``clip``

    Modified Keys:
        - bbox (N, 4)

    Added Keys:
        - gt_bbox (N, 4): the ground-truth box, for ``SSTNBBoxCenterScale``
        - gt_flip (bool): whether the image was already flipped

    Args:
        model (str): A file written by ``rmpe fit-pgpg``, or ``'alphapose'`` for
            AlphaPose's constants.
        crop_prob (float): Probability of a random crop of the ground-truth box, see
            :meth:`rmpe_plugin.ops.ProposalModel.sample`. Defaults to 0.
        clip (bool): Whether to clip proposals to the image. Defaults to ``True``.

    Raises:
        FileNotFoundError: If the model file does not exist.
        ValueError: If the file is not a proposal model or has another keypoint set, if
            ``crop_prob`` is not between 0 and 1, or if ``bbox_center`` exists already.
    """

    def __init__(self, model: str, crop_prob: float = 0.0, clip: bool = True) -> None:
        if not 0 <= crop_prob <= 1:
            raise ValueError(
                f'PoseGuidedProposal.crop_prob must be between 0 and 1, got {crop_prob}'
            )
        self.name, self.crop_prob, self.clip = str(model), crop_prob, clip
        if model == 'alphapose':
            self.model = ProposalModel.alphapose()
        elif Path(model).is_file():
            self.model = ProposalModel.from_json(model)
        else:
            raise FileNotFoundError(
                "PoseGuidedProposal.model must be 'alphapose' or an existing file "
                f'written by rmpe fit-pgpg, got {self.name!r}'
            )

    @cache_randomness
    def _sample_boxes(
        self, keypoints: np.ndarray, visible: np.ndarray, bbox: np.ndarray, size
    ) -> np.ndarray:
        """Sample one box (N, 4) for each person."""
        boxes = self.model.sample(
            keypoints, visible, bbox, 1, np.random, size, self.crop_prob
        )
        return boxes[:, 0].astype(bbox.dtype)

    def transform(self, results: dict) -> dict:
        """Replace ``bbox``; see the class."""
        if 'bbox_center' in results:
            raise ValueError(
                'PoseGuidedProposal must come before the transform that adds '
                'bbox_center and bbox_scale in the pipeline'
            )
        visible = results['keypoints_visible']
        if visible.ndim == 3:
            visible = visible[..., 0]
        size = results['img_shape'][1::-1] if self.clip else None
        results['gt_bbox'] = results['bbox']
        results['gt_flip'] = results.get('flip', False)
        try:
            results['bbox'] = self._sample_boxes(
                results['keypoints'], visible, results['bbox'], size
            )
        except ValueError as error:
            raise ValueError(
                f'instance {results.get("id")} of {results.get("img_path")}: {error}'
            ) from error
        return results

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(model={self.name!r}, '
            f'crop_prob={self.crop_prob}, clip={self.clip})'
        )
