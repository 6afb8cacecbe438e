# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpose.registry import TRANSFORMS

from rmpe_plugin.ops import ProposalModel


@TRANSFORMS.register_module()
class PoseGuidedProposal(BaseTransform):
    """Put a box as a detector would give it in the true box's place.

    The pose-guided proposals generator of the RMPE paper, section 3.3. It stands before
    the transform that makes ``bbox_center`` and ``bbox_scale``, in the place of
    ``RandomBBoxTransform``'s shift and scale. Several proposals a person in an epoch
    are MMEngine's ``RepeatDataset``.

    Required Keys:
        - bbox (N, 4), xyxy, pixels
        - keypoints (N, K, 2), pixels
        - keypoints_visible (N, K), or (N, K, 2) from ``RawVisibility``
        - img_shape (h, w), with ``clip``

    Modified Keys:
        - bbox (N, 4)

    Added Keys:
        - gt_bbox (N, 4): what ``bbox`` was, for ``KeepTrueBox``
        - gt_flip (bool): whether the image was flipped by then

    Args:
        model (str): A file that ``tools/fit_pgpg.py`` wrote, or ``'alphapose'`` for
            AlphaPose's constants.
        crop_prob (float): Share of windows inside the true box in place of detections,
            see :meth:`rmpe_plugin.ops.ProposalModel.sample`. Defaults to 0.
        clip (bool): Whether proposals end at the image's border, as detections do.
            Defaults to ``True``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no proposal model or of other keypoints, if
            ``crop_prob`` is no share, or if the box was made a crop already.
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
                "PoseGuidedProposal.model must be 'alphapose' or a file that "
                f'tools/fit_pgpg.py wrote, got {self.name!r}, which is no file'
            )

    @cache_randomness
    def _propose(
        self, keypoints: np.ndarray, visible: np.ndarray, bbox: np.ndarray, size
    ) -> np.ndarray:
        """One box a person (N, 4)."""
        boxes = self.model.sample(
            keypoints, visible, bbox, 1, np.random, size, self.crop_prob
        )
        return boxes[:, 0].astype(bbox.dtype)

    def transform(self, results: dict) -> dict:
        """Replace ``bbox``; see the class."""
        if 'bbox_center' in results:
            raise ValueError(
                'PoseGuidedProposal must stand before the transform that makes '
                'bbox_center and bbox_scale in the pipeline'
            )
        visible = results['keypoints_visible']
        if visible.ndim == 3:
            visible = visible[..., 0]
        size = results['img_shape'][1::-1] if self.clip else None
        results['gt_bbox'] = results['bbox']
        results['gt_flip'] = results.get('flip', False)
        try:
            results['bbox'] = self._propose(
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
