# SPDX-License-Identifier: Apache-2.0
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

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
                no_sigmas=np.array([]),  # as of Human3.6M
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
    assert meta['no_sigmas'].shape == (0,)
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


# An address of each of MMEngine's schemes, and the URL that it stands for.
ADDRESSES = {
    'https://localhost/net.pth': 'https://localhost/net.pth',
    'http://localhost/net.pth': 'http://localhost/net.pth',
    'torchvision://resnet18': get_torchvision_models()['resnet18'],
    'modelzoo://resnet50': get_torchvision_models()['resnet50'],
    'open-mmlab://vgg16_caffe': get_external_models()['vgg16_caffe'],
    'openmmlab://vgg16_caffe': get_external_models()['vgg16_caffe'],
    'mmcls://vgg11': get_mmcls_models()['vgg11'],
}


@pytest.mark.parametrize('address', ADDRESSES)
def test_loads_only_weights_from_downloads(address, tmp_path, monkeypatch):
    # torch's hub finds the files in its cache, so nothing is downloaded.
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    file = tmp_path / 'hub' / 'checkpoints' / Path(ADDRESSES[address]).name
    file.parent.mkdir(parents=True)
    weights = {'backbone.weight': torch.ones(2)}
    torch.save(dict(state_dict=weights), file)
    (loaded,) = load(address, 'cpu')['state_dict'].values()
    assert loaded.tolist() == [1, 1]
    marker = tmp_path / 'payload-ran'
    torch.save(dict(state_dict=weights, x=Payload(os.mkdir, str(marker))), file)
    with pytest.raises(pickle.UnpicklingError, match='was not loaded'):
        load(address, 'cpu')
    assert not marker.exists()


def test_every_scheme_is_covered():
    # The others need packages that are not installed.
    others = {'', 'package://', 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'}
    schemes = {address.partition('://')[0] + '://' for address in ADDRESSES}
    assert set(CheckpointLoader._schemes) == schemes | others
    wrapper = module._weights_only(load).__code__
    loaders = CheckpointLoader._schemes.values()
    assert all(loader.__code__ is wrapper for loader in loaders)


def test_ignores_requests_for_pickles(saved, tmp_path, monkeypatch):
    def unsafe(filename, map_location):
        return torch.load(filename, map_location, weights_only=False)

    marker = tmp_path / 'payload-ran'
    torch.save(dict(meta=Payload(os.mkdir, str(marker))), tmp_path / 'evil.pth')
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    with pytest.raises(pickle.UnpicklingError, match='was not loaded'):
        module._weights_only(unsafe)(tmp_path / 'evil.pth')
    assert not marker.exists()
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


class TestLoadWeights:
    @pytest.fixture
    def net(self):
        return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))

    def save(self, state, folder, **others):
        torch.save(dict(state_dict=state, **others), folder / 'net.pth')
        return folder / 'net.pth'

    def test_loads_all_parameters_and_returns_the_meta(self, net, tmp_path):
        wanted = {f'module.{k}': v + 1 for k, v in net.state_dict().items()}
        wanted['stn.weight'] = torch.zeros(1)
        path = self.save(wanted, tmp_path, meta=dict(epoch=3))
        assert module.load_weights(net, path) == dict(epoch=3)
        for name, value in net.state_dict().items():
            assert torch.equal(value, wanted[f'module.{name}'])

    def test_raises_on_missing_parameters(self, net, tmp_path):
        state = {k: v for k, v in net.state_dict().items() if k.startswith('0.')}
        message = (
            r'net.pth does not fit the model: it lacks 4 of 7 parameters and buffers '
            r'of Sequential, 1.weight, 1.bias, 1.running_mean, ...; it contains '
            r'0.weight, 0.bias$'
        )
        with pytest.raises(ValueError, match=message):
            module.load_weights(net, self.save(state, tmp_path))

    def test_raises_on_other_shapes(self, net, tmp_path):
        state = dict(net.state_dict(), **{'0.bias': torch.zeros(4)})
        with pytest.raises(
            ValueError, match='(?s)does not fit.*size mismatch for 0.bias'
        ):
            module.load_weights(net, self.save(state, tmp_path))

    def test_loads_files_without_state_dict(self, net, tmp_path):
        torch.save(net.state_dict(), tmp_path / 'net.pth')
        assert module.load_weights(net, tmp_path / 'net.pth') == {}


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without CUDA')
def test_missing_device_is_not_reported_as_damage(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(weight=torch.zeros(1)), path)
    with pytest.raises(RuntimeError, match='CUDA'):
        CheckpointLoader.load_checkpoint(str(path), map_location='cuda')


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Folder of packages with checkpoints."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, files in (('one_file', ['a']), ('two_files', ['a', 'b'])):
        folder = tmp_path / name / 'models'
        folder.mkdir(parents=True)
        (tmp_path / name / '__init__.py').write_text('raise RuntimeError')
        for file in files:
            torch.save(dict(weight=torch.arange(3.0)), folder / f'{file}.pth')
    return tmp_path


def test_loads_the_checkpoint_of_a_package_without_importing_it(packages):
    for name in ('one_file', 'one_file/models/a.pth', 'two_files/models/b.pth'):
        state = load(f'package://{name}', map_location='cpu')
        assert state['weight'].tolist() == [0, 1, 2]


def test_errors_of_packages(packages):
    with pytest.raises(ModuleNotFoundError, match='pip install no-such-package'):
        load('package://no_such_package')
    with pytest.raises(ModuleNotFoundError, match='not installed'):
        load('package://../one_file')
    with pytest.raises(FileNotFoundError, match='must be one checkpoint .* found 2'):
        load('package://two_files')
    with pytest.raises(FileNotFoundError, match='must be one checkpoint .* found 0'):
        load('package://two_files/models/c.pth')
    with pytest.raises(FileNotFoundError):
        load('package://two_files/../one_file')
    marker = packages / 'ran'
    path = packages / 'one_file' / 'models' / 'a.pth'
    with path.open('wb') as file:
        pickle.dump(Payload(os.mkdir, str(marker)), file)
    with pytest.raises(pickle.UnpicklingError):
        load('package://one_file')
    assert not marker.exists()
