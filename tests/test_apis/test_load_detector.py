# SPDX-License-Identifier: Apache-2.0
import pytest

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


def test_onnxruntime_for_cpus_beside_torch_for_gpus():
    assert load_detector('person', device='cuda:0').session.get_providers()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('person', 'x.pth'), 'detector person takes no checkpoint, got x.pth'),
        (('whole_image', 'x.pth'), 'whole_image takes no checkpoint'),
        (('yolox.onnx', 'x.pth'), 'yolox.onnx takes no checkpoint'),
        (('yolo',), "checkpoint of detector yolo is missing.*'person', 'whole_image'"),
    ],
)
def test_raises_on_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_detector(*arguments)
    with pytest.raises(FileNotFoundError, match='no.onnx does not exist'):
        load_detector('no.onnx')
