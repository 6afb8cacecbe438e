# SPDX-License-Identifier: Apache-2.0
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from rmpe_plugin.utils import checkpoint as module

load = CheckpointLoader.load_checkpoint


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with the objects that MMEngine writes in addition to weights."""
    history = HistoryBuffer([3.0, 1.0, 2.0], [1, 1, 1])
    content = dict(
        state_dict=dict(weight=torch.arange(3.0)),
        message_hub=dict(log_scalars={'train/loss': history}),
        meta=dict(
            epoch=1,
            dataset_meta=dict(
                sigmas=np.array([0.1, 0.2], dtype=np.float32),
                flip_indices=np.array([1, 0]),
                colors=np.zeros((2, 3), dtype=np.uint8),
                best=np.float64(0.5),
            ),
        ),
    )
    path = tmp_path / 'epoch_1.pth'
    torch.save(content, path)
    return path


def test_loads_checkpoints_of_mmengine(saved):
    content = load(str(saved), map_location='cpu')
    history = content['message_hub']['log_scalars']['train/loss']
    assert (history.min(), history.max(), history.current()) == (1.0, 3.0, 2.0)
    meta = content['meta']['dataset_meta']
    np.testing.assert_array_equal(meta['sigmas'], np.float32([0.1, 0.2]))
    assert meta['best'] == 0.5
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.zeros(3))
    load_checkpoint(model, str(saved))
    assert model.weight.tolist() == [0, 1, 2]


def test_allows_module_names_of_numpy_1():
    # Files written by numpy < 2 differ only in the name of the module.
    names = pickle.dumps(np.zeros(1)).split(b'numpy')
    assert b'multiarray' in names[1]
    allowed = [g[1] for g in module._allowed_globals() if isinstance(g, tuple)]
    for core in ('core', '_core'):
        assert f'numpy.{core}.multiarray._reconstruct' in allowed
        assert f'numpy.{core}.multiarray.scalar' in allowed


def test_allows_no_globals_after_a_load(saved):
    before = set(torch.serialization.get_safe_globals())
    load(str(saved), map_location='cpu')
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(saved)


class Payload:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('function', [os.mkdir, eval])
def test_raises_on_malicious_pickle_without_running_it(function, tmp_path):
    marker = tmp_path / 'payload-ran'
    argument = str(marker) if function is os.mkdir else f'open({str(marker)!r}, "w")'
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict={}, meta=Payload(function, argument)), path)
    with pytest.raises(pickle.UnpicklingError, match='evil.pth was not loaded'):
        load(str(path), map_location='cpu')
    assert not marker.exists()


def test_getattr_is_limited_to_history_buffer_statistics(tmp_path):
    for target, name in ((HistoryBuffer, '__init__'), (np.ndarray, 'tofile')):
        path = tmp_path / 'evil.pth'
        torch.save(dict(meta=Payload(getattr, target, name)), path)
        with pytest.raises(pickle.UnpicklingError, match=f'may not look up {name!r}'):
            load(str(path), map_location='cpu')


def test_loads_only_weights_from_downloads(saved, tmp_path, monkeypatch):
    # torch's hub finds the files in its cache, so nothing is downloaded.
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cache = tmp_path / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    (cache / 'good.pth').write_bytes(saved.read_bytes())
    marker = tmp_path / 'payload-ran'
    torch.save(dict(meta=Payload(os.mkdir, str(marker))), cache / 'evil.pth')
    assert load('https://localhost/good.pth', 'cpu')['meta']['epoch'] == 1
    with pytest.raises(pickle.UnpicklingError, match='evil.pth was not loaded'):
        load('https://localhost/evil.pth', 'cpu')
    assert not marker.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without CUDA')
def test_missing_device_is_not_reported_as_damage(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(weight=torch.zeros(1)), path)
    with pytest.raises(RuntimeError, match='CUDA'):
        CheckpointLoader.load_checkpoint(str(path), map_location='cuda')
