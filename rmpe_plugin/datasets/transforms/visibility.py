# SPDX-License-Identifier: Apache-2.0
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rmpe_plugin.ops import encode_visibility


@TRANSFORMS.register_module()
class RawVisibility(BaseTransform):
    """Keep the difference between COCO's v = 1 and v = 2 in the pipeline.

    MMPose keeps min(1, v) only. This transform stores a pair for each keypoint in the
    form that ``RandomFlip``, ``RandomHalfBody`` and ``GenerateTarget`` support; the
    last splits it into ``keypoints_visible`` and ``keypoints_visible_weights``. It is
    for training pipelines and precedes ``RandomFlip``. With several data sets, it is in
    the pipeline of each, before ``KeypointConverter``.

    Required Keys:
        - raw_ann_info
        - keypoints (N, K, 2)

    Modified Keys:
        - keypoints_visible (N, K, 2): v, see
          :func:`rmpe_plugin.ops.encode_visibility`; and 1, which ``KeypointConverter``
          replaces by 0 for keypoints that the data set does not have

    Raises:
        ValueError: If ``RandomFlip`` or ``KeypointConverter`` comes first, if the
            annotation has another number of keypoints than the pipeline, or if a
            labelled keypoint is not finite.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``keypoints_visible``; see the class."""
        if 'flip' in results:
            raise ValueError(
                'RawVisibility must come before RandomFlip in the pipeline'
            )
        ann = results.get('raw_ann_info')
        name = f'annotation {results.get("id")} of {results.get("img_path")}'
        if not ann:
            raise ValueError(
                f'{name} has no raw_ann_info: RawVisibility is for training on '
                'annotations, not for detections'
            )
        raw = np.asarray(ann['keypoints'], dtype=np.float32).reshape(1, -1, 3)
        # KeypointConverter has made pairs.
        is_converted = np.ndim(results.get('keypoints_visible')) == 3
        if is_converted or raw.shape[:2] != results['keypoints'].shape[:2]:
            raise ValueError(
                f'{name} has {raw.shape[1]} keypoints, the pipeline '
                f'{results["keypoints"].shape[1]}: RawVisibility must come before '
                'any transform that changes the keypoint set'
            )
        visibility = raw[..., 2]
        invalid = (visibility > 0) & ~np.isfinite(raw).all(axis=2)
        if invalid.any():
            raise ValueError(
                f'{name}: keypoints {np.flatnonzero(invalid[0]).tolist()} are labelled '
                'but their coordinates are not finite'
            )
        encoded = encode_visibility(visibility)
        results['keypoints_visible'] = np.stack((encoded, np.ones_like(encoded)), 2)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'
