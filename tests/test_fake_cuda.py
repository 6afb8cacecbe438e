# SPDX-License-Identifier: Apache-2.0
"""Forward passes in training and test on fake CUDA tensors, on any machine.

Fake tensors have a device but no data. Mixing devices and reading a value raise an
error, and so does each copy between device and host, which would synchronise them.
"""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.models import TopdownPoseEstimator
from mmpose.models.heads.base_head import BaseHead
from mmpose.models.heads.heatmap_heads import cpm_head, heatmap_head
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS
from torch import nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rmpe_plugin.inference import PoseGraph
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator, sstn
from tests.factories import SPPES, use_synthetic_people
from tests.test_configs import CONFIGS, load
from tests.test_deploy.conftest import small_model


class ForbidCopies(TorchDispatchMode):
    """Raise an error on each copy between the host and a CUDA device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
        # Operators take a scalar on the host by value, unless it is what they copy.
        takes_scalars = func not in (
            torch.ops.aten._to_copy.default,
            torch.ops.aten.copy_.default,
        )
        devices = {
            x.device.type for x in tensors if x.is_cuda or x.ndim or not takes_scalars
        }
        if devices >= {'cpu', 'cuda'}:
            raise RuntimeError(f'{func} copies between the host and the device')
        return result


def move_to_fake_cuda(net):
    """Replace parameters and buffers by fake CUDA tensors."""
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            fake = torch.empty_like(parameter, device='cuda')
            setattr(module, name, nn.Parameter(fake, parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty_like(buffer, device='cuda'))


@pytest.fixture
def fake_mode(monkeypatch):
    """Fake tensors, with substitutes for what they do not support or MMPose copies."""
    # As on a CPU; CUDA's operator has no fake implementation.
    monkeypatch.setattr(
        torch.nn.functional,
        'grid_sample',
        lambda x, grid, mode, padding_mode, align_corners: torch.grid_sampler_2d(
            x, grid, 0, 0, align_corners
        ),
    )
    # MMPose's CPMHead computes the accuracy on the host in every training step.
    monkeypatch.setattr(cpm_head, 'to_numpy', lambda x: x)
    monkeypatch.setattr(
        cpm_head,
        'pose_pck_accuracy',
        lambda output, **_: (0, output.new_zeros(()), 0),
    )
    # MMPose's heads index by a list in a flip test.
    for head in (cpm_head, heatmap_head):
        monkeypatch.setattr(head, 'flip_heatmaps', lambda heatmaps, **_: heatmaps)
    # Decoding and what follows it run on the host.
    monkeypatch.setattr(BaseHead, 'decode', decode)
    monkeypatch.setattr(sstn, '_map_keypoints', lambda *args: None)
    monkeypatch.setattr(SSTNPoseEstimator, '_add_windows', lambda *args: None)
    monkeypatch.setattr(
        TopdownPoseEstimator, 'add_pred_to_datasample', lambda self, poses, *args: poses
    )
    return FakeTensorMode(allow_non_fake_inputs=True)


def decode(head, heatmaps):
    maps = heatmaps if isinstance(heatmaps, torch.Tensor) else heatmaps[-1]
    return [InstanceData(keypoints=x[None], keypoint_scores=x[None]) for x in maps]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_training_and_test_forward_passes(path, fake_mode, synthetic):
    config = load(path)
    use_synthetic_people(config.train_dataloader.dataset, synthetic)
    for step in config.train_dataloader.dataset.pipeline:
        if step.type == 'PoseGuidedProposal':
            step.model = 'alphapose'
    dataset = DATASETS.build(config.train_dataloader.dataset)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    batch = preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    config.model.train_cfg = dict(compute_acc=False)
    with torch.device('meta'):
        net = MODELS.build(config.model)
    with fake_mode:
        move_to_fake_cuda(net)
        if config.model.get('parallel') is not None:
            net.init_parallel_sppe()
        inputs = batch['inputs'].to('cuda')
        samples = [sample.to('cuda') for sample in batch['data_samples']]
        with ForbidCopies():
            losses = net.train()(inputs, samples, mode='loss')
            with torch.no_grad():
                poses = net.eval()(inputs, samples, mode='predict')
    assert all(loss.is_cuda for loss in losses.values())
    assert len(poses) == 2


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize('sdtn', ['heatmaps', 'keypoints'])
@pytest.mark.parametrize('sppe', [*SPPES, 'udp'])
def test_graph_with_flip_test(sppe, sdtn, fake_mode):
    """The whole path from crops to keypoints, with MMPose's heads and codecs."""
    name = 'heatmap' if sppe == 'udp' else sppe
    test_cfg = dict(flip_test=True, shift_heatmap=True, sdtn=sdtn)
    model = small_model(name, (0.1, 0.05, -0.1), **test_cfg)
    if sppe == 'udp':
        model.head.decoder = KEYPOINT_CODECS.build(
            dict(type='UDPHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=2)
        )
    graph = PoseGraph(model)
    with fake_mode:
        move_to_fake_cuda(graph)
        crops = torch.ones(2, 3, 96, 64, dtype=torch.uint8, device='cuda')
        matrices = torch.ones(2, 2, 3, device='cuda')
        with ForbidCopies(), torch.no_grad():
            keypoints, scores = graph(crops, matrices)
    assert keypoints.is_cuda
    assert scores.shape == (2, 5)


def test_mixed_devices_and_synchronisations_are_detected():
    with FakeTensorMode(), ForbidCopies():
        x = torch.ones(3, device='cuda')
        with pytest.raises(RuntimeError, match='two different devices'):
            x + torch.ones(3)
        with pytest.raises(DataDependentOutputException):
            x.sum().item()


@pytest.mark.parametrize(
    'copy',
    [
        lambda x: x.cpu(),
        lambda x: x.sum().cpu(),
        lambda x: torch.ones(3).copy_(x),
        lambda x: torch.ones(3).to('cuda'),
        lambda x: torch.tensor(1.0).to('cuda'),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: x.new_tensor([1.0, 2.0]),
        lambda x: torch.tensor([1.0, 2.0], device='cuda'),
        lambda x: torch.from_numpy(np.ones(2)).cuda(),
        lambda x: x[[2, 1, 0]],
        lambda x: x[torch.tensor([0, 2])],
        lambda x: x.index_put_([torch.tensor([0, 2])], x[:2]),
    ],
)
def test_copies_are_detected(copy):
    with FakeTensorMode(allow_non_fake_inputs=True), ForbidCopies():
        x = torch.ones(3, device='cuda')
        with pytest.raises(RuntimeError, match='copies between'):
            copy(x)


def test_scalars_are_not_copied():
    with FakeTensorMode(), ForbidCopies():
        x = torch.ones(3, device='cuda')
        assert (2 * x + torch.tensor(1.0)).is_cuda
        assert torch.where(x > 0, x, torch.nan).is_cuda
