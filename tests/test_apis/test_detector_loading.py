# SPDX-License-Identifier: Apache-2.0
import pytest
from onnxruntime import InferenceSession

from rmpe_plugin.apis import (
    OnnxPersonDetector,
    PersonDetector,
    WholeImageDetector,
    load_detector,
)


def test_names():
    person = load_detector(device='cpu')
    assert isinstance(person, OnnxPersonDetector)
    assert person.input_size == (416, 416)
    assert person.score_thr == 0.35
    assert load_detector('person', score_thr=0.0).score_thr == 0
    assert isinstance(load_detector('whole_image'), WholeImageDetector)


def test_config_and_checkpoint(detector_files):
    detector = load_detector(*detector_files, device='cpu', top_k=7)
    assert isinstance(detector, PersonDetector)
    assert (detector.score_thr, detector.top_k) == (0.3, 7)


@pytest.mark.parametrize(
    ('device', 'settings'),
    [
        (None, {}),
        ('cuda', {}),
        ('cuda:1', dict(device_id=1)),
        ('cpu', None),
        ('meta', None),
    ],
)
def test_gpu_by_its_name_in_torch(monkeypatch, device, settings):
    used = []

    def session(path, options, providers):
        used.extend(providers)
        return InferenceSession(path, providers=['CPUExecutionProvider'])

    available = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr('onnxruntime.InferenceSession', session)
    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: available)
    if settings is None:
        load_detector('person', device=device)
        assert used == [('CPUExecutionProvider', {})]
    else:
        with pytest.raises(ValueError, match='cannot start CUDAExecutionProvider'):
            load_detector('person', device=device)
        assert used == [('CUDAExecutionProvider', settings)]


def test_onnxruntime_for_cpus_beside_torch_for_gpus():
    assert load_detector('person', device='cuda:0').session.get_providers()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('person', 'x.pth'), 'detector person takes no checkpoint, got x.pth'),
        (('whole_image', 'x.pth'), 'whole_image takes no checkpoint'),
        (('yolo',), "no object detector has the name 'yolo'"),
    ],
)
def test_raises_on_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_detector(*arguments)
    with pytest.raises(FileNotFoundError, match='no.onnx does not exist'):
        load_detector('no.onnx')
