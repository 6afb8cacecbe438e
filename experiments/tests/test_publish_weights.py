# SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest
import torch

from tests.conftest import run_experiment


@pytest.fixture
def checkpoint(tmp_path):
    state = {
        'conv.weight': torch.tensor([0.1, 2.0]),
        'norm.running_var': torch.tensor([1e6]),
        'norm.num_batches_tracked': torch.tensor(7),
    }
    meta = dict(epoch=3, dataset_meta=dict(dataset_name='lsp', sigmas=np.ones(2)))
    path = tmp_path / 'epoch_3.pth'
    torch.save(dict(state_dict=state, optimizer=dict(x=1), meta=meta), path)
    return path


def test_keeps_weights_and_keypoints_only(checkpoint, tmp_path):
    out = tmp_path / 'new' / 'weights.pth'
    printed = run_experiment('publish_weights', checkpoint, out).stdout
    assert hashlib.sha256(out.read_bytes()).hexdigest() in printed
    from mmengine.runner.checkpoint import CheckpointLoader

    content = CheckpointLoader.load_checkpoint(str(out), 'cpu')
    assert content.keys() == {'meta', 'state_dict'}
    assert content['meta'].keys() == {'dataset_meta'}
    assert content['meta']['dataset_meta']['dataset_name'] == 'lsp'
    weight, variance, count = content['state_dict'].values()
    assert weight.dtype == torch.float16
    torch.testing.assert_close(
        weight.float(), torch.tensor([0.1, 2.0]), rtol=1e-3, atol=0
    )
    assert variance.dtype == torch.float32
    assert variance == 1e6
    assert count == 7


def test_averages_two_trainings(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=False)
    state = content['state_dict']
    state['conv.weight'] = torch.tensor([0.5, -2.0])
    state['norm.running_var'] = torch.tensor([3e6])
    state['norm.num_batches_tracked'] = torch.tensor(9)
    torch.save(content, tmp_path / 'other.pth')
    other = ('--other', tmp_path / 'other.pth', '--share', 0.25)
    out = tmp_path / 'weights.pth'
    run_experiment('publish_weights', checkpoint, out, *other)
    weight, variance, count = torch.load(out, weights_only=False)['state_dict'].values()
    torch.testing.assert_close(weight, torch.tensor([0.2, 1.0]).half())
    torch.testing.assert_close(variance, torch.tensor([1.5e6]))
    assert count == 7

    state['conv.weight'] = torch.zeros(3)
    torch.save(content, tmp_path / 'other.pth')
    result = run_experiment('publish_weights', checkpoint, out, *other, check=False)
    assert result.returncode == 2
    assert '--other has another model, conv.weight differs' in result.stderr

    other = ('--other', tmp_path / 'other.pth')
    result = run_experiment('publish_weights', checkpoint, out, *other, check=False)
    assert result.returncode == 2
    assert '--other and --share must be given together' in result.stderr


def test_errors(checkpoint, tmp_path):
    out = tmp_path / 'weights.pth'
    content = torch.load(checkpoint, weights_only=False)
    content['state_dict']['conv.weight'][0] = 1e5
    torch.save(content, checkpoint)
    result = run_experiment('publish_weights', checkpoint, out, check=False)
    assert result.returncode == 2
    assert 'conv.weight has values outside the range of float16' in result.stderr

    torch.save(content['state_dict'], checkpoint)
    result = run_experiment('publish_weights', checkpoint, out, check=False)
    assert result.returncode == 2
    assert "not a checkpoint of a training, it lacks 'meta'" in result.stderr

    result = run_experiment('publish_weights', tmp_path / 'no.pth', out, check=False)
    assert result.returncode == 2
    assert 'no.pth' in result.stderr
    assert not out.exists()
