# SPDX-License-Identifier: Apache-2.0
"""Forward passes in training and test on fake CUDA tensors, on any machine.

Fake tensors have a device but no data. Mixing devices and reading a value raise an
error, and so does each copy from the device to the host, which would synchronise them.
"""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.models import TopdownPoseEstimator
from mmpose.models.heads.base_head import BaseHead
from mmpose.models.heads.heatmap_heads import cpm_head
from mmpose.registry import DATASETS, MODELS
from torch import nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils._python_dispatch import TorchDispatchMode

from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator, sstn
from tests.factories import use_synthetic_people
from tests.test_configs import CONFIGS, load


class ForbidHostCopies(TorchDispatchMode):
    """Raise an error on each copy of a CUDA tensor to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in (*args, result) if isinstance(x, torch.Tensor)]
        if tensors and tensors[0].is_cuda and not tensors[-1].is_cuda:
            raise RuntimeError(f'{func} copies a tensor to the host')
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
    monkeypatch.setattr(cpm_head, 'pose_pck_accuracy', lambda **kwargs: (0, 0.0, 0))
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
        with ForbidHostCopies():
            losses = net.train()(inputs, samples, mode='loss')
            with torch.no_grad():
                poses = net.eval()(inputs, samples, mode='predict')
    assert all(loss.is_cuda for loss in losses.values())
    assert len(poses) == 2


def test_mixed_devices_and_synchronisations_are_detected():
    with FakeTensorMode(), ForbidHostCopies():
        x = torch.ones(3, device='cuda')
        with pytest.raises(RuntimeError, match='two different devices'):
            x + torch.ones(3)
        with pytest.raises(DataDependentOutputException):
            x.sum().item()
        with pytest.raises(RuntimeError, match='copies a tensor to the host'):
            x.cpu()
