# SPDX-License-Identifier: Apache-2.0
"""Detectors of MMDetection with reproducible weights and images.

Run as a script, this module records their results with a compiled mmcv:
    python -m tests.test_compat.detectors
"""

from pathlib import Path

import mmcv.ops
import mmdet
import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from tests.golden_weights import fill, image

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden' / 'mmdet_detectors.npz'
CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
# Few proposals and small matrices for the time, and boxes of all scores.
TWO_STAGES = {
    'test_cfg.rpn.nms_pre': 200,
    'test_cfg.rpn.max_per_img': 60,
    'test_cfg.rcnn.score_thr': 0.0,
    'test_cfg.rcnn.max_per_img': 30,
    'roi_head.bbox_head.fc_out_channels': 64,
}
FIRST_STAGE = {
    'test_cfg.score_thr': 0.0,
    'test_cfg.nms_pre': 200,
    'test_cfg.max_per_img': 30,
}
# Configs with changes of the model.
DETECTORS = {
    'rtmdet': ('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', FIRST_STAGE),
    'yolox': ('yolox/yolox_tiny_8xb8-300e_coco.py', {'test_cfg.score_thr': 0.1}),
    'yolov3': (
        'yolo/yolov3_mobilenetv2_8xb24-ms-416-300e_coco.py',
        {**FIRST_STAGE, 'test_cfg.conf_thr': 0.0},
    ),
    'faster_rcnn_soft_nms': (
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        {
            **TWO_STAGES,
            'test_cfg.rcnn.nms': dict(type='soft_nms', iou_threshold=0.5),
        },
    ),
    'faster_rcnn_dcn': (
        'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py',
        TWO_STAGES,
    ),
    'faster_rcnn_modulated_dcn': (
        'dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py',
        TWO_STAGES,
    ),
    'cascade_rcnn': (
        'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
        {
            **{k: v for k, v in TWO_STAGES.items() if 'fc_out' not in k},
            **{f'roi_head.bbox_head.{i}.fc_out_channels': 64 for i in range(3)},
        },
    ),
    'retinanet': ('retinanet/retinanet_r50_fpn_1x_coco.py', FIRST_STAGE),
    'deformable_detr': (
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
        {'num_queries': 30, 'test_cfg.max_per_img': 30},
    ),
}
HEIGHT, WIDTH = 128, 160
# Layers with smaller weights: outputs, such that scores differ and boxes are in the
# image, and offsets of deformable convolutions.
SMALL = (
    'rtm_cls', 'rtm_reg', 'conv_cls', 'conv_reg', 'conv_obj', 'convs_pred', 'fc_cls',
    'fc_reg', 'rpn_cls', 'rpn_reg', 'retina_cls', 'retina_reg', 'conv_offset',
)  # fmt: skip


def build(name):
    """Build a detector with reproducible weights and without random layers."""
    path, changes = DETECTORS[name]
    config = Config.fromfile(CONFIGS / path)
    config.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = revert_sync_batchnorm(MODELS.build(config.model))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    state = model.state_dict()
    # Matrices get the weights of 1x1 convolutions.
    shapes = {
        key: (*x.shape, 1, 1) if x.ndim == 2 else x.shape for key, x in state.items()
    }
    filled = {
        key: torch.from_numpy(array).reshape(state[key].shape).to(state[key])
        for key, array in fill(shapes).items()
    }
    for key, tensor in filled.items():
        if any(f'{layer}.' in key for layer in SMALL) and key.endswith('weight'):
            tensor *= 0.03
    model.load_state_dict(filled)
    for module in model.modules():
        if isinstance(module, mmcv.ops.ModulatedDeformConv2d):
            module.weight.data *= 2  # the mask is about 0.5
    return model


def samples(device='cpu'):
    """Two images with three and one object."""
    result = []
    for boxes, labels in (
        ([[10, 12, 70, 90], [30, 40, 150, 120], [80, 8, 110, 44]], [0, 16, 79]),
        ([[5.5, 20.25, 98.0, 101.5]], [2]),
    ):
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(HEIGHT, WIDTH),
                ori_shape=(HEIGHT, WIDTH),
                pad_shape=(HEIGHT, WIDTH),
                batch_input_shape=(HEIGHT, WIDTH),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes).float(), labels=torch.tensor(labels)
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        )
        result.append(sample.to(device))
    return result


def run(name, inputs=None, device='cpu'):
    """Predictions, losses and gradients of a detector.

    Args:
        name (str): Name of the detector.
        inputs (Tensor, optional): Images (2, 3, 128, 160).
        device (str): Device of the computation.

    Returns:
        dict[str, np.ndarray]: For each image, boxes (N, 5) with scores and labels (N,);
        losses, the norm of the gradient of each part, and all gradients.
    """
    inputs = torch.from_numpy(image(2, HEIGHT, WIDTH)) if inputs is None else inputs
    inputs, model = inputs.to(device), build(name).to(device)
    results = {}
    with torch.no_grad():
        predictions = model.eval()(inputs, samples(device), mode='predict')
    for i, prediction in enumerate(predictions):
        found = prediction.pred_instances
        results[f'boxes{i}'] = torch.cat((found.bboxes, found.scores[:, None]), 1)
        results[f'labels{i}'] = found.labels
    torch.manual_seed(0)
    losses = model.train()(inputs, samples(device), mode='loss')
    total, losses = model.parse_losses(losses)
    total.backward()
    results.update({f'loss/{key}': value.detach() for key, value in losses.items()})
    for part, module in model.named_children():
        gradients = [
            p.grad.flatten() for p in module.parameters() if p.grad is not None
        ]
        if gradients:
            results[f'norm/{part}'] = torch.cat(gradients).norm()
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            results[f'gradient/{key}'] = parameter.grad
    return {key: tensor.cpu().numpy() for key, tensor in results.items()}


def main():
    assert not mmcv._ext.__file__.endswith('.py'), 'mmcv is not compiled'
    arrays = {
        # The best boxes suffice.
        f'{name}/{key}': array[:10] if array.ndim else array
        for name in DETECTORS
        for key, array in run(name).items()
        if not key.startswith('gradient/')
    }
    np.savez_compressed(GOLDEN, **arrays)
    print(f'{GOLDEN}: {GOLDEN.stat().st_size / 1000:.0f} kB')


if __name__ == '__main__':
    main()
