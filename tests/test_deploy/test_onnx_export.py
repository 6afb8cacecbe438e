# SPDX-License-Identifier: Apache-2.0
"""ONNX files against PyTorch, and torch.export."""

import errno
import os

import numpy as np
import onnx
import pytest
import torch

from rmpe_plugin.deploy import (
    HeatmapFormat,
    PoseErrors,
    PoseFormat,
    PoseMetadata,
    open_session,
    pytorch_poses,
    quantize_onnx,
    read_metadata,
    write_onnx,
)
from rmpe_plugin.deploy.onnx_export import OPSET
from rmpe_plugin.inference import PoseGraph
from tests.test_deploy.conftest import (
    model_without_heatmaps,
    random_crops,
    small_metadata,
    small_model,
    stack,
)

WINDOW = (0.2, 0.05, -0.1, 0.03, 0.15, 0.1)


def assert_same_poses(path, form, model, number=5):
    crops = random_crops(number)
    outputs = open_session(path).run(None, form.feeds(stack(crops).numpy()))
    errors = PoseErrors.between(form.poses(outputs), pytorch_poses(model, crops))
    assert errors.keypoints.max() <= 0.01
    assert errors.scores.max() <= 1e-4


def export(model, path, make_format=PoseFormat, color='bgr', **settings):
    metadata = small_metadata(model, color)
    form = make_format(PoseGraph(model, color).eval(), metadata, **settings)
    properties = metadata.to_properties()
    write_onnx(form.graph, form.examples(), form.outputs, path, properties)
    return form


@pytest.mark.parametrize('number', [1, 2, 5])
def test_sstn_with_any_batch_size(onnx_file, number):
    path, model, form = onnx_file
    assert_same_poses(path, form, model, number)


@pytest.mark.slow
@pytest.mark.parametrize('sppe', ['heatmap', 'cpm', 'mspn'])
def test_other_heads(tmp_path, sppe):
    model = small_model(sppe, WINDOW if sppe == 'heatmap' else None)
    form = export(model, tmp_path / 'a.onnx', color='rgb', dtype='float32')
    assert_same_poses(tmp_path / 'a.onnx', form, model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'window'),
    [('simcc', None), ('rtmcc', None), ('rtmcc', WINDOW), ('rle', WINDOW)],
)
def test_heads_without_heatmaps(tmp_path, name, window):
    model = model_without_heatmaps(name, window, flip_test=True)
    form = export(model, tmp_path / 'a.onnx')
    assert_same_poses(tmp_path / 'a.onnx', form, model)
    with pytest.raises(ValueError, match='model.head, a .*Head, predicts no heatmaps'):
        HeatmapFormat(PoseGraph(model), small_metadata(model))


@pytest.mark.slow
def test_heatmaps(tmp_path):
    model = small_model('cpn', flip_test=True)
    form = export(model, tmp_path / 'a.onnx', HeatmapFormat)
    session = open_session(tmp_path / 'a.onnx')
    assert [output.name for output in session.get_outputs()] == ['heatmaps']
    assert_same_poses(tmp_path / 'a.onnx', form, model)


@pytest.mark.slow
def test_image_pixels(tmp_path):
    model = small_model('cpn')
    form = export(model, tmp_path / 'a.onnx', image_pixels=True)
    assert_same_poses(tmp_path / 'a.onnx', form, model)
    feeds = form.feeds(stack(random_crops(2)).numpy())
    session = open_session(tmp_path / 'a.onnx')
    in_crop, _ = session.run(None, feeds)
    feeds['inverse_affine'] = np.float32([[[2, 0, 3], [0, 0.5, 1]]] * 2)
    in_image, _ = session.run(None, feeds)
    np.testing.assert_allclose(in_image, in_crop * [2, 0.5] + [3, 1], atol=1e-4)


def test_opset_and_metadata(onnx_file):
    path, model, form = onnx_file
    imports = {x.domain: x.version for x in onnx.load(path).opset_import}
    assert imports[''] == OPSET == 18
    metadata = read_metadata(open_session(path), path)
    assert metadata == PoseMetadata.from_properties(form.metadata.to_properties())
    assert tuple(metadata.input_size) == (64, 96)
    assert metadata.crop_padding == 1.25
    assert metadata.crop_aspect_ratio == 64 / 96
    assert metadata.keypoint_names == ['nose', 'a', 'b', 'c', 'd']
    assert metadata.flip_indices == model.dataset_meta['flip_indices']
    assert metadata.skeleton == [[0, 1]]


def test_full_disk_leaves_no_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    inputs = dict(x=torch.zeros(2, 3))
    with pytest.raises(OSError, match='No space left'):
        write_onnx(torch.nn.Softmax(1), inputs, ['y'], tmp_path / 'a.onnx', {})
    assert not list(tmp_path.iterdir())


def test_int8(tmp_path, onnx_file):
    path, model, form = onnx_file
    crops = stack(random_crops(8)).numpy()
    quantize_onnx(path, tmp_path / 'int8.onnx', [form.feeds(crops)])
    nodes = onnx.load(tmp_path / 'int8.onnx').graph.node
    assert sum(node.op_type == 'QuantizeLinear' for node in nodes) > 10
    session = open_session(tmp_path / 'int8.onnx')
    assert read_metadata(session, path) == read_metadata(open_session(path), path)
    _, scores = session.run(None, form.feeds(crops))
    _, expected = pytorch_poses(model, random_crops(8))
    assert np.median(np.abs(scores - expected)) < 0.1 * np.ptp(expected)


@pytest.mark.slow
def test_half_precision(tmp_path):
    model = small_model('cpn', WINDOW)
    metadata = small_metadata(model)
    graph = PoseGraph(model, dtype=torch.float16).eval()
    form = PoseFormat(graph, metadata)
    write_onnx(graph, form.examples(), form.outputs, tmp_path / 'a.onnx', {})
    weights = onnx.load(tmp_path / 'a.onnx').graph.initializer
    half = [x for x in weights if x.data_type == onnx.TensorProto.FLOAT16]
    assert len(half) > 20
    outputs = open_session(tmp_path / 'a.onnx').run(
        None, form.feeds(stack(random_crops()).numpy())
    )
    _, expected = pytorch_poses(model, random_crops())
    np.testing.assert_allclose(outputs[1], expected, atol=0.02)


@pytest.mark.parametrize('window', [None, pytest.param(WINDOW, marks=pytest.mark.slow)])
def test_estimators_are_torch_export_programs(tmp_path, window):
    model = small_model('cpn', window)
    images = torch.rand(2, 3, 96, 64)
    batch = torch.export.Dim('batch')
    program = torch.export.export(
        model, (images, None), dynamic_shapes=({0: batch}, None)
    )
    torch.export.save(program, tmp_path / 'model.pt2')
    loaded = torch.export.load(tmp_path / 'model.pt2').module()
    images = torch.rand(5, 3, 96, 64)
    with torch.no_grad():
        expected = model(images, None)
        actual = loaded(images, None)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
