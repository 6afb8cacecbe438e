# SPDX-License-Identifier: Apache-2.0
"""Functions of CPN and RMPE in plain torch and numpy.

No function imports OpenMMLab. Fitting a proposal model also needs scikit-learn (the
extra ``learn``). There are three packages: ``cpn`` (heatmaps, OHKM), ``rmpe`` (affine
transforms, pose NMS, proposals) and ``evaluation`` (similarities, metrics).
"""

from .boxes import valid_boxes
from .cpn.accuracy import pck_accuracy
from .cpn.blur import blur_heatmaps, gaussian_kernel
from .cpn.decoding import decode_cpn, heatmap_peaks
from .cpn.mmpose_decoding import (
    decode_dark,
    decode_dark_udp,
    decode_megvii,
    decode_quarter_offset,
    decode_simcc,
)
from .cpn.ohkm import hard_keypoint_loss, keypoint_mse
from .cpn.resize import resize_bilinear
from .cpn.targets import render_targets
from .cpn.visibility import decode_visibility, encode_visibility
from .crops import (
    ImageStack,
    crop_matrices,
    crop_to_image,
    stack_images,
    warp_crops,
)
from .evaluation.bootstrap import bootstrap_weights
from .evaluation.crowd_index import crowd_index
from .evaluation.error_types import (
    ErrorThresholds,
    PoseErrorTypes,
    pose_error_types,
    pose_oks,
    pose_pck,
)
from .evaluation.joint_tracking import JointTracking, joint_tracking
from .evaluation.keypoint_similarity import (
    head_size_variances,
    keypoint_accuracy,
    keypoint_similarity,
    oks_variances,
)
from .evaluation.mpii_groups import poses_in_group
from .evaluation.multi_person_ap import joint_detections, multi_person_ap
from .evaluation.oks_ap import oks_average_precision, pose_detections
from .evaluation.reliability import Reliability, reliability
from .evaluation.scored_detections import ScoredDetections
from .precision import at_least_float32
from .rmpe.affine import (
    compose_affine,
    finite_or_identity,
    identity_affine,
    invert_affine,
    theta_from_pixels,
    transform_points,
    warp,
    window_corners,
)
from .rmpe.alternating_search import alternating_search
from .rmpe.association import (
    bounded_pose_similarity,
    box_iou,
    combine_similarities,
    largest_overlap,
    weighted_oks,
)
from .rmpe.atomic_poses import (
    align_poses,
    distance_to_atoms,
    find_atoms,
    nearest_atom,
)
from .rmpe.gaussian_mixture import GaussianMixture
from .rmpe.one_euro import one_euro
from .rmpe.pooling import grid_average_pool
from .rmpe.pose_motion import Motion, correct_motion, predict_motion
from .rmpe.pose_nms import (
    PoseNMSResult,
    parametric_pose_nms,
    parametric_pose_nms_batch,
)
from .rmpe.pose_nms_params import PoseNMSParams
from .rmpe.pose_similarity import pose_similarity
from .rmpe.proposals import ProposalModel, box_offsets

__all__ = [
    'ErrorThresholds',
    'GaussianMixture',
    'ImageStack',
    'JointTracking',
    'Motion',
    'PoseErrorTypes',
    'PoseNMSParams',
    'PoseNMSResult',
    'ProposalModel',
    'Reliability',
    'ScoredDetections',
    'align_poses',
    'alternating_search',
    'at_least_float32',
    'blur_heatmaps',
    'bootstrap_weights',
    'bounded_pose_similarity',
    'box_iou',
    'box_offsets',
    'combine_similarities',
    'compose_affine',
    'correct_motion',
    'crop_matrices',
    'crop_to_image',
    'crowd_index',
    'decode_cpn',
    'decode_dark',
    'decode_dark_udp',
    'decode_megvii',
    'decode_quarter_offset',
    'decode_visibility',
    'decode_simcc',
    'distance_to_atoms',
    'encode_visibility',
    'find_atoms',
    'finite_or_identity',
    'gaussian_kernel',
    'grid_average_pool',
    'hard_keypoint_loss',
    'head_size_variances',
    'heatmap_peaks',
    'identity_affine',
    'invert_affine',
    'joint_detections',
    'joint_tracking',
    'keypoint_accuracy',
    'keypoint_mse',
    'keypoint_similarity',
    'largest_overlap',
    'multi_person_ap',
    'nearest_atom',
    'oks_average_precision',
    'oks_variances',
    'one_euro',
    'parametric_pose_nms',
    'parametric_pose_nms_batch',
    'pck_accuracy',
    'pose_detections',
    'pose_error_types',
    'pose_oks',
    'pose_pck',
    'pose_similarity',
    'poses_in_group',
    'predict_motion',
    'reliability',
    'render_targets',
    'resize_bilinear',
    'stack_images',
    'theta_from_pixels',
    'transform_points',
    'valid_boxes',
    'warp',
    'warp_crops',
    'weighted_oks',
    'window_corners',
]
