# SPDX-License-Identifier: Apache-2.0
import torch
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.registry import TRANSFORMS
from mmpose.structures import PoseDataSample

from rmpe_plugin.ops import invert_affine, transform_points


@TRANSFORMS.register_module()
class GenerateCentredTarget(GenerateTarget):
    """Make the centre-located targets of the parallel SPPE.

    They are the targets that ``GenerateTarget`` makes for the crop of the ground-truth
    box. RMPE paper, section 3.1.

    Required Keys:
        - theta_gt (2, 3), from :class:`GroundTruthWindow`
        - input_size (w, h), pixels
        - keys of ``GenerateTarget``

    Added Keys:
        - centred (dict): Results with the centre-located targets

    Args:
        kwargs: As ``GenerateTarget``'s.
    """

    def transform(self, results: dict) -> dict:
        """Add ``centred``; see the class."""
        width, height = results['input_size']
        gamma = invert_affine(torch.from_numpy(results['theta_gt']).double())
        points = torch.from_numpy(results['transformed_keypoints'])
        size = (height, width)
        centred = transform_points(points.double(), gamma, size, size).to(points)
        results['centred'] = super().transform(
            dict(results, transformed_keypoints=centred.numpy())
        )
        return results


@TRANSFORMS.register_module()
class PackSSTNInputs(PackPoseInputs):
    """``PackPoseInputs`` that also packs the targets of the STN.

    The data sample has ``theta_gt`` (2, 3), a tensor, after
    :class:`GroundTruthWindow`, and ``centred``, a data sample with the centre-located
    targets, after :class:`GenerateCentredTarget`.

    Args:
        kwargs: As ``PackPoseInputs``'s.
    """

    def transform(self, results: dict) -> dict:
        """Pack the results; see the class."""
        packed = super().transform(results)
        sample = packed['data_samples']
        if 'theta_gt' in results:
            sample.theta_gt = torch.from_numpy(results['theta_gt'])
        if 'centred' in results:
            centred = super().transform(results['centred'])['data_samples']
            targets = ('gt_fields', 'gt_instance_labels')
            sample.centred = PoseDataSample(
                **{key: centred.get(key) for key in targets if key in centred}
            )
        return packed
