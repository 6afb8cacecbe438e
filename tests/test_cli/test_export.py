# SPDX-License-Identifier: Apache-2.0
"""Command lines of the exports, and of the demo with an exported file."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from rmpe_plugin.apis import RMPEInferencer
from rmpe_plugin.cli.export import image_paths, load_crops
from tests.conftest import ROOT, run_command
from tests.test_apis.conftest import (  # noqa: F401
    CPN,
    DETECTOR,
    cpn,
    save_untrained,
)


@pytest.fixture(scope='module')
def pose_file(cpn, synthetic, tmp_path_factory):  # noqa: F811
    """An exported pose estimator, and the output of the export."""
    path = tmp_path_factory.mktemp('export') / 'cpn.onnx'
    images = synthetic / 'val'
    return path, run_command('export', *cpn, '--out', path, '--images', images)


def test_export_prints_the_errors(pose_file):
    path, result = pose_file
    assert path.is_file()
    assert 'largest error of keypoints' in result.stdout
    assert 'float32' in result.stdout
    assert '4 crops' in result.stdout


@pytest.mark.slow
def test_exports_the_model_in_this_package(coco_cc, tmp_path):
    path = tmp_path / 'photo.onnx'
    image = coco_cc / '000000234748.jpg'
    result = run_command('export', 'photo', '--out', path, '--images', image)
    assert 'compared with PyTorch' in result.stdout
    assert RMPEInferencer(path).estimator.metadata.config


def int8_arguments(**changes):
    return Namespace(**{**dict(images=None, crops=8, int8=True), **changes})


def split_options(synthetic, **names):
    """Options of a config with synthetic people as data of the splits."""
    options = {}
    for split, name in names.items():
        options[f'{split}_dataloader.dataset'] = dict(
            data_root=f'{synthetic}/',
            ann_file=f'annotations/person_keypoints_{name}.json',
            data_prefix=dict(img=f'{name}/'),
        )
    return options


def whole_images(model, **options):
    return RMPEInferencer(*model, 'whole_image', device='cpu', cfg_options=options)


def test_training_data_calibrate_and_test_data_are_compared(cpn, synthetic):  # noqa: F811
    options = split_options(synthetic, train='train', test='val')
    crops = load_crops(int8_arguments(), whole_images(cpn, **options))
    for part, folder in zip(crops, ('val', 'train'), strict=True):
        assert {Path(path).parent.name for path in image_paths(part)} == {folder}
    inferencer = whole_images(cpn, **split_options(synthetic, train='val', test='val'))
    with pytest.raises(ValueError, match=r'val/.*jpg, are in the training data'):
        load_crops(int8_arguments(), inferencer)
    assert load_crops(int8_arguments(int8=False), inferencer)[1] == []


@pytest.mark.parametrize('crops', [1, 3, 8])
def test_other_images_calibrate_than_are_compared(crops, cpn, synthetic):  # noqa: F811
    images = sorted(map(str, (synthetic / 'train').iterdir()))[:5]
    arguments = int8_arguments(images=images, crops=crops)
    compared, calibration = load_crops(arguments, whole_images(cpn))
    expected = dict([(1, (1, 1)), (3, (3, 2)), (8, (3, 2))])[crops]
    assert (len(compared), len(calibration)) == expected
    everything = [crop['inputs'].numpy().tobytes() for crop in compared + calibration]
    assert len(set(everything)) == sum(expected)


def test_int8_needs_two_images(cpn, synthetic):  # noqa: F811
    image = next((synthetic / 'train').iterdir())
    with pytest.raises(ValueError, match='int8 needs two images'):
        load_crops(int8_arguments(images=[str(image)]), whole_images(cpn))


@pytest.mark.slow
def test_int8_is_calibrated_on_the_training_data(cpn, synthetic, tmp_path):  # noqa: F811
    path = tmp_path / 'int8.onnx'
    options = []
    for split, name in (('train', 'train'), ('test', 'val')):
        dataset = f'{split}_dataloader.dataset'
        options += [
            f'{dataset}.data_root={synthetic}/',
            f'{dataset}.ann_file=annotations/person_keypoints_{name}.json',
            f'{dataset}.data_prefix.img={name}/',
        ]
    arguments = ('--int8', '--crops', 8, '--cfg-options', *options)
    result = run_command('export', *cpn, '--out', path, *arguments)
    assert 'MB, int8' in result.stdout
    assert path.stat().st_size < 3e6


@pytest.mark.slow
def test_detector_is_exported(synthetic, tmp_path):
    path, checkpoint = tmp_path / 'detector.onnx', tmp_path / 'detector.pth'
    meta = dict(classes=('person',))
    save_untrained(DETECTOR, checkpoint, 'mmdet', dataset_meta=meta)
    arguments = ('--out', path, '--images', synthetic / 'val')
    result = run_command(
        'export-detector', DETECTOR, checkpoint, *arguments, check=False
    )
    assert path.is_file(), result.stderr
    assert '160x160' in result.stdout


def test_detector_export_needs_an_image(tmp_path):
    image, out = tmp_path / 'broken.jpg', tmp_path / 'a.onnx'
    image.write_bytes(b'broken')
    arguments = (DETECTOR, 'a.pth', '--out', out, '--images', image)
    result = run_command('export-detector', *arguments, check=False)
    assert result.returncode == 2
    assert f'error: --images {image}: no image can be read' in result.stderr


def test_demo_with_an_onnx_file(pose_file, synthetic, tmp_path):
    path, _ = pose_file
    run_command(
        'predict',
        *(path, synthetic / 'val', '--whole-image', '--out', tmp_path),
        *('--pose-nms', 'none', '--no-images', '--device', 'cpu'),
    )
    results = json.loads((tmp_path / 'results.json').read_text())
    assert len(results) == 4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('no.py', 'a.pth', '--out', 'a.onnx'), 'no.py does not exist'),
        (('a.onnx', '--out', 'b.onnx'), 'a.onnx is an ONNX file already'),
        ((CPN, '--out', 'a.onnx'), 'is missing'),
        (
            (CPN, 'a.pth', '--out', 'a.onnx', '--crops', 0),
            '--crops: must be at least 1',
        ),
        ((CPN, 'no.pth', '--out', 'a.onnx'), 'error: no.pth'),
        ((CPN, 'a.pth', '--out', 'a.onnx', '--int8', '--precision', 'fp16'), 'not all'),
        ((CPN, 'a.pth', '--out', 'a.onnx', '--for', 'mmdeploy'), 'invalid choice'),
        (
            (CPN, 'a.pth', '--out', 'a.onnx', '--for', 'rtmlib', '--color', 'rgb'),
            'remove --color',
        ),
    ],
)
def test_export_fails_on_invalid_arguments(arguments, message):
    result = run_command('export', *arguments, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


def test_missing_data_names_the_option(cpn, tmp_path):  # noqa: F811
    option = 'test_dataloader.dataset.ann_file=no.json'
    arguments = ('--out', tmp_path / 'a.onnx', '--cfg-options', option)
    result = run_command('export', *cpn, *arguments, check=False)
    assert result.returncode == 2
    assert '--images' in result.stderr
    assert 'Traceback' not in result.stderr
    assert not list(tmp_path.iterdir())


def test_demo_needs_inputs_for_an_onnx_file():
    # Without inputs, the images would be taken for the checkpoint.
    result = run_command(
        'predict',
        *(CPN, 'a.pth', '--whole-image', '--out', ROOT / 'work_dirs'),
        check=False,
    )
    assert result.returncode == 2
    assert 'inputs are missing' in result.stderr
