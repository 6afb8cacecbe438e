# SPDX-License-Identifier: Apache-2.0
"""Files that are not exported pose estimators, and missing packages."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from rmpe_plugin.apis import RMPEInferencer
from rmpe_plugin.deploy import open_session, read_metadata
from rmpe_plugin.deploy import requirements as requirements_module
from tests.test_deploy.conftest import small_metadata, small_model


def identity_model(path, opset=18, outputs=('keypoints',), **metadata):
    """An ONNX file whose outputs are its input."""
    shape = ['batch', 3, 96, 64]
    info = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, shape)
        for name in ('crops', *outputs)
    ]
    nodes = [helper.make_node('Identity', ['crops'], [name]) for name in outputs]
    graph = helper.make_graph(nodes, 'identity', info[:1], info[1:])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=10
    )
    for name, value in metadata.items():
        model.metadata_props.add(key=name, value=value)
    onnx.save(model, path)
    return path


@pytest.fixture(scope='module')
def properties():
    """Metadata of a small pose estimator."""
    return small_metadata(small_model('cpn')).to_properties()


@pytest.fixture
def onnx_file(tmp_path, properties):
    """A file with the inputs, outputs and metadata of a pose estimator."""
    outputs = ('keypoints', 'scores')
    return identity_model(tmp_path / 'pose.onnx', outputs=outputs, **properties)


def test_truncated_file(tmp_path, onnx_file):
    path = tmp_path / 'a.onnx'
    content = onnx_file.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r'onnxruntime .* cannot load .*a\.onnx'):
        RMPEInferencer(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a\.onnx does not exist'):
        RMPEInferencer(tmp_path / 'a.onnx')


def test_unsupported_opset(tmp_path):
    path = identity_model(tmp_path / 'a.onnx', opset=99)
    with pytest.raises(ValueError, match=r'(?s)cannot load .*a\.onnx.*99'):
        open_session(path)


def test_unrelated_model_has_no_metadata(tmp_path):
    path = identity_model(tmp_path / 'a.onnx')
    message = 'is not a pose estimator .*metadata input_size, .*missing, got no'
    with pytest.raises(ValueError, match=message):
        read_metadata(open_session(path), path)


def test_missing_and_damaged_metadata(tmp_path, properties):
    properties = {k: v for k, v in properties.items() if k != 'crop_padding'}
    path = identity_model(tmp_path / 'a.onnx', **properties)
    with pytest.raises(ValueError, match='metadata crop_padding missing'):
        read_metadata(open_session(path), path)
    path = identity_model(tmp_path / 'b.onnx', **properties, crop_padding='{')
    with pytest.raises(ValueError, match=r'b\.onnx is not a pose estimator'):
        read_metadata(open_session(path), path)


def test_file_of_an_earlier_version(tmp_path, properties):
    path = identity_model(tmp_path / 'a.onnx', **properties, score_range='[0.5, 1.5]')
    with pytest.raises(ValueError, match=r'a\.onnx .*earlier version .*: export it'):
        RMPEInferencer(path)


def test_wrong_outputs_and_wrong_input_size(tmp_path, properties):
    path = identity_model(tmp_path / 'a.onnx', **properties)
    with pytest.raises(ValueError, match="outputs must be 'keypoints' and 'scores'"):
        read_metadata(open_session(path), path)
    properties = dict(properties, input_size='[192, 256]')
    path = identity_model(tmp_path / 'b.onnx', **properties)
    with pytest.raises(ValueError, match=r"must be 'crops' \(batch, 3, 256, 192\)"):
        read_metadata(open_session(path), path)


def test_crops_of_another_size(onnx_file):
    crops = np.zeros((2, 3, 96, 32), np.uint8)
    with pytest.raises(Exception, match='Got invalid dimensions for input: crops'):
        open_session(onnx_file).run(None, dict(crops=crops))


def test_onnxruntime_is_not_installed(monkeypatch, onnx_file):
    monkeypatch.setattr(requirements_module, 'find_spec', lambda name: None)
    message = r'onnxruntime not installed: pip install "rmpe_plugin\[deploy\]"'
    with pytest.raises(ImportError, match=message):
        RMPEInferencer(onnx_file)


@pytest.mark.parametrize('device', ['mps', 'xpu:1', torch.device('mps')])
def test_device_that_onnxruntime_lacks(onnx_file, device):
    with pytest.raises(ValueError, match=f"device '{device}' needs another runtime"):
        open_session(onnx_file, device)


@pytest.mark.parametrize('device', ['gpu', 'cuda:x', '0'])
def test_raises_on_an_unknown_device(onnx_file, device):
    with pytest.raises(ValueError, match=f"device '{device}' is not a device"):
        open_session(onnx_file, device)


@pytest.mark.parametrize('device', ['cpu', 'cpu:0', torch.device('cpu')])
def test_runs_on_the_cpu(onnx_file, device):
    assert open_session(onnx_file, device).get_providers() == ['CPUExecutionProvider']


@pytest.mark.parametrize(
    ('device', 'settings'),
    [
        (None, {}),
        ('cuda', {}),
        ('cuda:0', dict(device_id=0)),
        ('cuda:1', dict(device_id=1)),
        (torch.device('cuda', 1), dict(device_id=1)),
    ],
)
def test_gpu_by_its_name_in_torch(monkeypatch, onnx_file, device, settings):
    """The execution provider that onnxruntime gets, which needs no GPU."""
    used = []

    class Session:
        def __init__(self, path, options, providers):
            used.extend(providers)

        def get_providers(self):
            return [name for name, _ in used]

    providers = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'InferenceSession', Session)
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: providers)
    open_session(onnx_file, device)
    assert used == [('CUDAExecutionProvider', settings)]


@pytest.mark.parametrize(
    'settings',
    [
        dict(checkpoint='a.pth'),
        dict(precision='bfloat16'),
        dict(cfg_options={'model.test_cfg.flip_test': False}),
    ],
)
def test_settings_that_are_in_the_file(onnx_file, settings):
    with pytest.raises(ValueError, match='contains its weights, precision and'):
        RMPEInferencer(onnx_file, **settings)
