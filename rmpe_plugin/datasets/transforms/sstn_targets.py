# SPDX-License-Identifier: Apache-2.0
import torch
from mmpose.codecs import UDPHeatmap
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.registry import TRANSFORMS
from mmpose.structures import PoseDataSample

from rmpe_plugin.ops import invert_affine, transform_points

from .ground_truth_window import GroundTruthWindow


@TRANSFORMS.register_module()
class GenerateSSTNTarget(GenerateTarget):
    """``GenerateTarget`` that also makes what trains the STN.

    Replaces ``GenerateTarget`` in stage 2 of RMPE. It adds the ground-truth window, see
    :class:`GroundTruthWindow`, and the centre-located targets of the parallel SPPE:
    those that ``GenerateTarget`` makes for the crop of the ground-truth box. RMPE
    paper, section 3.1.

    Required Keys:
        - those of :class:`GroundTruthWindow`; the crop is one of
          ``TopdownAffine(use_udp=True)`` if the encoder is a ``UDPHeatmap``, and
          otherwise not
        - those of ``GenerateTarget``

    Added Keys:
        - those of ``GenerateTarget``
        - theta_gt (2, 3), float32
        - centred (dict): Results with the centre-located targets

    Args:
        kwargs: As ``GenerateTarget``'s.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        encoders = self.encoder if isinstance(self.encoder, list) else [self.encoder]
        self.window = GroundTruthWindow(isinstance(encoders[-1], UDPHeatmap))

    def transform(self, results: dict) -> dict:
        """Add the targets; see the class."""
        results = super().transform(self.window.transform(results))
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

    Replaces ``PackPoseInputs`` in stage 2 of RMPE. The data sample has ``theta_gt``
    (2, 3), a tensor, after :class:`GroundTruthWindow` or :class:`GenerateSSTNTarget`;
    and after the latter ``centred``, a data sample with the centre-located targets, and
    ``crop_keypoints`` (1, K, 2), a tensor, pixels of the crop.

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
            sample.crop_keypoints = torch.from_numpy(results['transformed_keypoints'])
            centred = super().transform(results['centred'])['data_samples']
            targets = ('gt_fields', 'gt_instance_labels')
            sample.centred = PoseDataSample(
                **{key: centred.get(key) for key in targets if key in centred}
            )
        return packed
