# SPDX-License-Identifier: Apache-2.0
"""Batched crops and decoding against the config's pipeline and codec."""

import re
from contextlib import nullcontext

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch.utils._python_dispatch import TorchDispatchMode

import rmpe_plugin.apis.torch_pose_estimator as module
from rmpe_plugin.apis import RMPEInferencer, TorchPoseEstimator
from rmpe_plugin.inference import PoseGraph
from rmpe_plugin.inference.people_cropper import DeviceCrops
from rmpe_plugin.ops import stack_images, warp_crops
from rmpe_plugin.structures import read_annotations
from rmpe_plugin.utils.configs import find_config
from tests.conftest import ROOT
from tests.factories import set_stn_bias
from tests.test_deploy.conftest import small_model

SSTN = ROOT / 'configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py'


@pytest.fixture(scope='module')
def people(coco_cc):
    """Four photographs and the annotated boxes of their people."""
    annotations = read_annotations(coco_cc / 'person_keypoints_cc.json')
    images, boxes = [], []
    for record in annotations['images'][:4]:
        images.append(mmcv.imread(coco_cc / record['file_name']))
        xywh = np.array(
            [a['bbox'] for a in annotations['annotations']
             if a['image_id'] == record['id']],
            np.float32,
        ).reshape(-1, 4)  # fmt: skip
        boxes.append(
            InstanceData(
                bboxes=np.hstack((xywh[:, :2], xywh[:, :2] + xywh[:, 2:])),
                bbox_scores=np.ones(len(xywh), np.float32),
            )
        )
    return images, boxes


def estimator(config, checkpoint=None, **options):
    torch.manual_seed(0)
    return TorchPoseEstimator(config, checkpoint, 'cpu', cfg_options=options)


def assert_close(actual, expected):
    """At most 0.05 pixels, except where an untrained heatmap has a near tie."""
    assert actual.keypoints.shape == expected.keypoints.shape
    errors = np.linalg.norm(actual.keypoints - expected.keypoints, axis=-1)
    assert (errors <= 0.05).mean() >= 0.97
    np.testing.assert_allclose(
        actual.keypoint_scores, expected.keypoint_scores, atol=2e-3
    )


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('sstn', [False, True])
def test_equals_the_pipeline(cpn, people, sstn, flip_test):
    config, checkpoint = (SSTN, None) if sstn else cpn
    option = {'model.test_cfg.flip_test': flip_test}
    model = estimator(config, checkpoint, **option)
    assert model.graph is not None
    actual = model.estimate(*people, batch_size=5)
    assert len(actual) == sum(map(len, people[1]))
    assert_close(actual, model.estimate_by_pipeline(*people, batch_size=32))


@pytest.mark.parametrize(
    'name',
    [
        'rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py',
        'topdown_regression/coco/'
        'td-reg_mobilenetv2_rle-pretrained-8xb64-210e_coco-256x192.py',
    ],
)
def test_sstn_of_a_head_without_heatmaps_equals_the_pipeline(name, people):
    config = Config.fromfile(find_config(f'mmpose::body_2d_keypoint/{name}'))
    config.model.update(
        type='SSTNPoseEstimator', stn=dict(type='SpatialTransformer'), init_cfg=None
    )
    config.model.backbone.init_cfg = None
    model = estimator(config)
    assert model.graph is not None
    # the graph has a copy with fused layers
    for net in (model.model, model.graph.model):
        set_stn_bias(net, 0.2, 0.05, -0.1, 0.03, 0.15, 0.1)
    actual = model.estimate(*people, batch_size=5)
    assert_close(actual, model.estimate_by_pipeline(*people, batch_size=32))


def test_crops_of_a_device(cpn, people, monkeypatch):
    """The implementation for a GPU, on the CPU."""
    model = estimator(*cpn)
    expected = model.estimate(*people, batch_size=32)
    cropper = model.cropper
    monkeypatch.setattr(
        cropper,
        '_open',
        lambda images, people: DeviceCrops(
            images, cropper.geometry.input_size, True, model.device
        ),
    )
    actual = model.estimate(*people, batch_size=32)
    errors = np.linalg.norm(actual.keypoints - expected.keypoints, axis=-1)
    # OpenCV 4 rounds sampling points to 1/32 of a pixel.
    assert np.quantile(errors, 0.9) <= 0.05


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda c: c.test_dataloader.dataset.pipeline.insert(1, dict(type='LoadImage')),
         'pipeline must be LoadImage or .* got LoadIntactImage, LoadImage, CPNBBox'),
        (lambda c: c.model.test_cfg.update(output_heatmaps=True),
         'model.test_cfg.output_heatmaps is not supported'),
    ],
)  # fmt: skip
def test_other_forms_use_the_pipeline_and_the_log_says_why(
    cpn, people, change, reason, monkeypatch
):
    config = Config.fromfile(cpn[0])
    change(config)
    logged = []
    monkeypatch.setattr(module, 'print_log', lambda text, logger: logged.append(text))
    model = TorchPoseEstimator(config, cpn[1], 'cpu')
    assert model.graph is None
    assert re.search(f'one by one: .*{reason}', logged[0])
    standard = estimator(*cpn)
    assert_close(
        model.estimate(*people, batch_size=32),
        standard.estimate(*people, batch_size=32),
    )


class NoHostTransfer(TorchDispatchMode):
    """Raise if an operation on the device reads or writes host memory.

    Tensors are on the device ``meta``, which also raises if a value is read.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in args if isinstance(x, torch.Tensor)]
        on_device = [x.is_meta for x in (out, *tensors) if isinstance(x, torch.Tensor)]
        if any(on_device) and not all(on_device):
            # A Python number is an argument of a kernel, not a copy.
            assert all(x.is_meta or x.dim() == 0 for x in tensors), func
        return out


@pytest.mark.parametrize('window', [None, (0.2, 0.05, -0.1)])
def test_estimation_does_not_synchronise(window, monkeypatch):
    # Autocast does not know the device meta.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    model = small_model('cpn', window, flip_test=True).to('meta')
    graph = PoseGraph(model).eval()
    images = torch.empty(2, 3, 50, 60, dtype=torch.uint8, device='meta')
    index = torch.empty(4, dtype=torch.long, device='meta')
    matrices = torch.empty(4, 2, 3, device='meta')
    with torch.inference_mode(), NoHostTransfer():
        crops = warp_crops(stack_images(images), index, matrices, (64, 96)).round()
        keypoints, scores = graph(crops, matrices)
    assert keypoints.shape == (4, 5, 2)
    assert scores.shape == (4, 5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_estimation_on_cuda_does_not_synchronise(cpn, people):
    model = TorchPoseEstimator(*cpn, 'cuda')
    bboxes = [boxes.bboxes for boxes in people[1]]
    model.estimate(*people, batch_size=32)
    torch.cuda.set_sync_debug_mode('error')
    try:
        with torch.inference_mode():
            for crop in model.cropper.batches(people[0], bboxes, 32):
                model.graph(*crop())
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_thousands_of_people_in_one_image(cpn):
    inferencer = RMPEInferencer(*cpn, device='cpu', person_batch=64, pose_nms=None)
    inferencer.estimator.graph.encoded = lambda crops: (
        torch.rand(len(crops), 17, 32, 24) * 255,
        None,
    )
    image = np.zeros((60, 80, 3), np.uint8)
    boxes = np.tile([[10.0, 10, 30, 50, 0.5]], (3000, 1))
    (result,) = inferencer(image, [boxes])
    assert result.poses.pred_instances.keypoints.shape == (3000, 17, 2)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_batch_normalisation_is_fused(cpn, people, precision):
    model = TorchPoseEstimator(*cpn, 'cpu', precision=precision)
    calls = []
    for layer in model.model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_hook(lambda *_: calls.append(1))
    model.estimate(*people, batch_size=32)
    assert not calls
