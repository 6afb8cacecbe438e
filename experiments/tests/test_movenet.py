# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from experiments import movenet
from tests.conftest import run_experiment

OUTPUTS = {'center_0': (3, 1), 'kpt_heatmap_0': (4, 17)}
OUTPUTS |= {'kpt_regress_0': (5, 34), 'kpt_offset_0': (6, 34)}


def tensorflow_shapes():
    """Names and shapes of the arrays of the file, in its order."""
    init_default_scope('mmpose')
    config = Config.fromfile(movenet.CONFIG).model.backbone
    shapes = {}
    for name, (i, channels) in OUTPUTS.items():
        separable = f'{name}/separable_conv2d_{i}'
        shapes[f'{separable}/separable_conv2d/ReadVariableOp'] = (3, 3, 24, 1)
        shapes[f'{separable}/separable_conv2d/ReadVariableOp_1'] = (1, 1, 24, 96)
        shapes[f'{separable}/BiasAdd/ReadVariableOp'] = (96,)
        last = f'{name}/conv2d_{i + 1}'
        shapes[f'{last}/Conv2D/ReadVariableOp'] = (1, 1, 96, channels)
        shapes[f'{last}/BiasAdd/ReadVariableOp'] = (channels,)
    pairs = ((1280, 64), (112, 64), (56, 32), (40, 24))
    for name, (wide, narrow) in zip(
        ('conv2d', 'conv2d_1', 'conv2d_2', 'conv2d_3'), pairs, strict=True
    ):
        shapes[f'{movenet.FEATURES}{name}/Conv2D/ReadVariableOp'] = (1, 1, wide, narrow)
        shapes[f'{movenet.FEATURES}{name}/BiasAdd/ReadVariableOp'] = (narrow,)
    for i, conv in enumerate(
        m for m in MODELS.build(config).modules() if isinstance(m, nn.Conv2d)
    ):
        out, inside, height, width = conv.weight.shape
        shape = (height, width, inside, out) if conv.groups == 1 else (3, 3, out, 1)
        shapes[f'{movenet.FEATURES}model/{i}/weights'] = shape
        shapes[f'{movenet.FEATURES}model/{i}/bn_offset'] = (out,)
    shapes[f'{movenet.FEATURES}model/Conv_1/Conv2D_weights'] = (1, 1, 560, 1280)
    shapes[f'{movenet.FEATURES}model/Conv_1/Conv2D_bn_offset'] = (1280,)
    for name, (wide, narrow) in zip(
        ('separable_conv2d', 'separable_conv2d_1', 'separable_conv2d_2'),
        ((64, 32), (32, 24), (24, 24)),
        strict=True,
    ):
        separable = f'{movenet.FEATURES}{name}/separable_conv2d'
        shapes[f'{separable}/ReadVariableOp'] = (3, 3, wide, 1)
        shapes[f'{separable}_weights'] = (1, 1, wide, narrow)
        shapes[f'{separable}_bn_offset'] = (narrow,)
    return shapes


@pytest.fixture(scope='module')
def arrays():
    """Arrays of a random MoveNet by their full names."""
    rng = np.random.default_rng(0)
    result = {}
    for name, shape in tensorflow_shapes().items():
        inputs = (
            shape[0] * shape[1] * (1 if shape[-1] == 1 else shape[-2])
            if len(shape) == 4
            else 4
        )
        values = rng.normal(size=shape, scale=(2 / inputs) ** 0.5)
        result[movenet.ROOT + name] = values.astype(np.float16)
    y, x = np.mgrid[:64, :64]
    prior = 1 / (np.hypot(y - 32, x - 32) + 1)
    grids = {
        f'ConstantFolding/{movenet.ROOT}truediv_2_recip': prior[..., None],
        f'{movenet.ROOT}strided_slice_3': y[..., None],
        f'{movenet.ROOT}strided_slice_4': x[..., None],
        f'{movenet.ROOT}add_5/y': np.array(1.8),
    }
    result |= {name: values.astype(np.float32) for name, values in grids.items()}
    return result | {f'{movenet.ROOT}count': np.array([3], np.int32)}


@pytest.fixture(scope='module')
def model_file(arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp('movenet')
    entries = []
    for name, values in arrays.items():
        entry = dict(name=name, shape=values.shape, dtype=values.dtype.name)
        if values.dtype == np.float16:
            entry |= dict(dtype='float32', quantization=dict(dtype='float16'))
        entries.append(entry)
    (folder / 'model.bin').write_bytes(b''.join(x.tobytes() for x in arrays.values()))
    manifest = [dict(paths=['model.bin'], weights=entries)]
    file = folder / 'model.json'
    file.write_text(json.dumps(dict(weightsManifest=manifest)))
    return file


def test_kernels_are_transposed(arrays, model_file):
    weights = movenet.read_weights(model_file)
    name = 'conv2d_1/Conv2D/ReadVariableOp'
    kernel = arrays[movenet.ROOT + movenet.FEATURES + name].astype(np.float32)
    np.testing.assert_array_equal(weights[name][5, 7, 0, 0], kernel[0, 0, 7, 5])
    name = 'separable_conv2d/separable_conv2d/ReadVariableOp'
    kernel = arrays[movenet.ROOT + movenet.FEATURES + name].astype(np.float32)
    np.testing.assert_array_equal(weights[name][5, 0, 2, 1], kernel[2, 1, 5, 0])


@pytest.fixture(scope='module')
def model(model_file):
    return movenet.MoveNet(movenet.read_weights(model_file))


def test_decodes_the_person_in_the_centre(model):
    """Against MoveNet's rule with loops, on the outputs of the network."""
    images = torch.from_numpy(
        np.random.default_rng(1).uniform(-1, 1, (3, 3, 256, 256)).astype(np.float32)
    )
    keypoints, scores = model(images)
    assert keypoints.shape == (3, 17, 2)
    features = model.neck(model.backbone(images))[0][:, -24:]
    maps = {n: m(features).numpy(force=True) for n, m in model.outputs.items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x.astype(float)))

    y, x = np.mgrid[:64, :64]
    for b in range(3):
        center = sigmoid(maps['center'][b, 0]) / (np.hypot(y - 32, x - 32) + 1)
        i, j = np.unravel_index(center.argmax(), center.shape)
        for k in range(17):
            offset = maps['kpt_regress'][b, 2 * k : 2 * k + 2, i, j]
            distance = np.hypot(y - i - offset[0], x - j - offset[1])
            heatmap = sigmoid(maps['kpt_heatmap'][b, k])
            weighted = heatmap / (distance + 1.8)
            row, column = np.unravel_index(weighted.argmax(), weighted.shape)
            dy, dx = maps['kpt_offset'][b, 2 * k : 2 * k + 2, row, column]
            expected = (4 * (column + dx), 4 * (row + dy))
            np.testing.assert_allclose(keypoints[b, k], expected, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(scores[b, k], heatmap[row, column], atol=1e-5)


def test_writes_backbone_and_neck(model, model_file, tmp_path):
    out = tmp_path / 'movenet.pth'
    run_experiment('movenet', model_file, out)
    state = torch.load(out)['state_dict']
    config = Config.fromfile(movenet.CONFIG).model
    network = MODELS.build(config)
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith('head.') for name in missing)
    for part in ('backbone', 'neck'):
        trained = getattr(model, part).state_dict()
        for name, value in getattr(network, part).state_dict().items():
            torch.testing.assert_close(value, trained[name], rtol=0, atol=0)


def test_raises_if_a_shape_differs(model_file):
    weights = movenet.read_weights(model_file)
    weights['conv2d_1/BiasAdd/ReadVariableOp'] = torch.zeros(3)
    with pytest.raises(ValueError, match=r'expected shape torch.Size\(\[64\]\), got'):
        movenet.MoveNet(weights)
