# SPDX-License-Identifier: Apache-2.0
"""Names and arguments of the functions, as ``mmcv/ops`` of mmcv 2.1 calls them."""

import inspect
import re

import mmcv
import mmcv.ops
import pytest
import torch
from mmcv.utils import collect_env

from rmpe_plugin.compat import mmcv_ext
from tests.test_compat.conftest import needs_compiled

SIGNATURES = {
    'deform_conv_backward_input': (
        'input offset gradOutput gradInput gradOffset weight columns kW kH dW dH '
        'padW padH dilationW dilationH group deformable_group im2col_step'
    ),
    'deform_conv_backward_parameters': (
        'input offset gradOutput gradWeight columns ones kW kH dW dH padW padH '
        'dilationW dilationH group deformable_group scale im2col_step'
    ),
    'deform_conv_forward': (
        'input weight offset output columns ones kW kH dW dH padW padH dilationW '
        'dilationH group deformable_group im2col_step'
    ),
    'get_compiler_version': '',
    'get_compiling_cuda_version': '',
    'modulated_deform_conv_backward': (
        'input weight bias ones offset mask columns grad_input grad_weight '
        'grad_bias grad_offset grad_mask grad_output kernel_h kernel_w stride_h '
        'stride_w pad_h pad_w dilation_h dilation_w group deformable_group '
        'with_bias'
    ),
    'modulated_deform_conv_forward': (
        'input weight bias ones offset mask output columns kernel_h kernel_w '
        'stride_h stride_w pad_h pad_w dilation_h dilation_w group deformable_group '
        'with_bias'
    ),
    'ms_deform_attn_backward': (
        'value value_spatial_shapes value_level_start_index sampling_locations '
        'attention_weights grad_output grad_value grad_sampling_loc '
        'grad_attn_weight im2col_step'
    ),
    'ms_deform_attn_forward': (
        'value value_spatial_shapes value_level_start_index sampling_locations '
        'attention_weights im2col_step'
    ),
    'nms': 'boxes scores iou_threshold offset',
    'nms_match': 'dets iou_threshold',
    'roi_align_backward': (
        'grad_output rois argmax_y argmax_x grad_input aligned_height aligned_width '
        'spatial_scale sampling_ratio pool_mode aligned'
    ),
    'roi_align_forward': (
        'input rois output argmax_y argmax_x aligned_height aligned_width '
        'spatial_scale sampling_ratio pool_mode aligned'
    ),
    'roi_pool_backward': (
        'grad_output rois argmax grad_input pooled_height pooled_width spatial_scale'
    ),
    'roi_pool_forward': (
        'input rois output argmax pooled_height pooled_width spatial_scale'
    ),
    'sigmoid_focal_loss_backward': 'input target weight grad_input gamma alpha',
    'sigmoid_focal_loss_forward': 'input target weight output gamma alpha',
    'softnms': 'boxes scores dets iou_threshold sigma min_score method offset',
}
OTHERS = """
upfirdn2d fused_bias_leakyrelu gather_points_forward gather_points_backward
assign_score_withk_forward assign_score_withk_backward knn_forward
carafe_naive_forward carafe_naive_backward carafe_forward carafe_backward
deform_roi_pool_forward deform_roi_pool_backward roipoint_pool3d_forward
softmax_focal_loss_forward softmax_focal_loss_backward three_interpolate_forward
three_interpolate_backward three_nn_forward bbox_overlaps group_points_forward
group_points_backward stack_group_points_forward stack_group_points_backward
iou3d_boxes_overlap_bev_forward iou3d_nms3d_forward iou3d_nms3d_normal_forward
furthest_point_sampling_forward furthest_point_sampling_with_dist_forward
masked_im2col_forward masked_col2im_forward pixel_group contour_expand
sync_bn_forward_mean sync_bn_forward_var sync_bn_forward_output sync_bn_backward_param
sync_bn_backward_data get_indice_pairs_2d_forward get_indice_pairs_3d_forward
get_indice_pairs_4d_forward get_indice_pairs_2d_backward get_indice_pairs_3d_backward
indice_conv_forward indice_conv_backward fused_indice_conv_forward
indice_maxpool_forward indice_maxpool_backward psamask_forward psamask_backward
tin_shift_forward tin_shift_backward box_iou_rotated nms_rotated ball_query_forward
stack_ball_query_forward roi_align_rotated_forward roi_align_rotated_backward
dynamic_point_to_voxel_forward dynamic_point_to_voxel_backward hard_voxelize_forward
dynamic_voxelize_forward border_align_forward border_align_backward
correlation_forward correlation_backward points_in_boxes_cpu_forward
points_in_boxes_part_forward points_in_boxes_all_forward roiaware_pool3d_forward
roiaware_pool3d_backward rotated_feature_align_forward rotated_feature_align_backward
riroi_align_rotated_forward riroi_align_rotated_backward points_in_polygons_forward
min_area_polygons active_rotated_filter_forward active_rotated_filter_backward
convex_iou convex_giou diff_iou_rotated_sort_vertices_forward chamfer_distance_forward
chamfer_distance_backward prroi_pool_forward prroi_pool_backward
prroi_pool_coor_backward bias_act filtered_lrelu filtered_lrelu_act_ box_iou_quadri
nms_quadri bezier_align_forward bezier_align_backward
"""


@pytest.mark.parametrize('name', SIGNATURES)
def test_arguments(name):
    parameters = inspect.signature(getattr(mmcv_ext, name)).parameters
    assert list(parameters) == SIGNATURES[name].split()
    assert all(p.default is p.empty for p in parameters.values())


@needs_compiled
@pytest.mark.parametrize('name', SIGNATURES)
def test_arguments_are_those_of_compiled_mmcv(name):
    signature = getattr(mmcv._ext, name).__doc__.splitlines()[0]
    assert re.findall(r'(\w+): ', signature) == SIGNATURES[name].split()


def test_all_names():
    assert sorted(mmcv_ext.__all__) == ['__getattr__', *SIGNATURES]
    assert not set(SIGNATURES) & set(OTHERS.split())


@needs_compiled
def test_names_are_those_of_compiled_mmcv():
    names = {name for name in dir(mmcv._ext) if not name.startswith('__')}
    assert names == {*SIGNATURES, *OTHERS.split()}


@pytest.mark.parametrize('name', OTHERS.split())
def test_raises_on_other_operators(name):
    function = getattr(mmcv_ext, name)
    with pytest.raises(
        NotImplementedError, match=f"mmcv operator '{name}' needs a compiled mmcv"
    ):
        function(1, b=2)


def test_raises_from_public_function(ours):
    with pytest.raises(NotImplementedError, match='pip uninstall -y mmcv-lite && pip'):
        mmcv.ops.box_iou_rotated(torch.zeros(1, 5), torch.zeros(1, 5))


def test_special_names_are_missing():
    assert not hasattr(mmcv_ext, '__wrapped__')
    assert inspect.unwrap(mmcv_ext.nms) is mmcv_ext.nms


def test_versions_for_collect_env(ours):
    environment = collect_env()
    assert environment['MMCV Compiler'].startswith('none (rmpe_plugin.compat on torchv')
    assert environment['MMCV CUDA Compiler'] == (torch.version.cuda or 'not available')
