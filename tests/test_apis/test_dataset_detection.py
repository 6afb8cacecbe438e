# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from rmpe_plugin.apis import (
    DetectorSettings,
    PersonDetector,
    detect_dataset,
    find_detector,
    list_images,
    read_image,
)
from rmpe_plugin.structures import boxes_to_records
from rmpe_plugin.utils.files import file_digest
from tests.test_apis.conftest import interrupt_detection

PERSON_FILE = find_detector('person').config


@pytest.fixture(scope='module')
def settings(detector_files):
    return DetectorSettings(*map(str, detector_files), top_k=3)


@pytest.fixture(scope='module')
def images(synthetic, tmp_path_factory):
    """Two images, and a file that is not an image in between."""
    folder = tmp_path_factory.mktemp('images')
    for name in ('000001.jpg', '000003.jpg'):
        shutil.copy(synthetic / 'val' / name, folder)
    (folder / '000002.jpg').write_bytes(b'broken')
    return list_images(None, folder)


@pytest.fixture(scope='module')
def expected(settings, images):
    """The records of the readable images."""
    detector = PersonDetector(settings.config, settings.checkpoint, 'cpu', top_k=3)
    readable = [read_image(path, i) for i, path in images if i != 2]
    people = detector([frame.image for frame in readable])
    return [
        record
        for frame, boxes in zip(readable, people, strict=True)
        for record in boxes_to_records(frame.image_id, boxes)
    ]


def assert_same_boxes(records, expected):
    assert [r['image_id'] for r in records] == [r['image_id'] for r in expected]
    boxes, scores = ([r[key] for r in records] for key in ('bbox', 'score'))
    np.testing.assert_allclose(boxes, [r['bbox'] for r in expected], atol=0.05)
    np.testing.assert_allclose(scores, [r['score'] for r in expected], rtol=1e-4)


def test_lists_images_of_a_folder_and_of_annotations(synthetic):
    folder = synthetic / 'val'
    ann_file = synthetic / 'annotations' / 'person_keypoints_val.json'
    images = list_images(ann_file, folder)
    assert images == list_images(None, folder)
    assert len(images) == 4
    assert all(path.is_file() for _, path in images)
    names = [path.name for _, path in images]
    assert list_images(ann_file, None) == [
        (image_id, ann_file.parent / name)
        for (image_id, _), name in zip(images, names, strict=True)
    ]
    with pytest.raises(ValueError, match='got neither'):
        list_images(None, None)


def test_writes_boxes_and_reports_unreadable_images(
    settings, images, expected, tmp_path
):
    out = tmp_path / 'new' / 'boxes.json'
    detected = detect_dataset(images, settings, out, batch_size=2, devices=['cpu'])
    first, failed, last = detected
    assert [image.image_id for image in (first, failed, last)] == [1, 2, 3]
    assert failed.name == str(images[1][1])
    assert 'UnidentifiedImageError' in failed.error
    assert not (failed.boxes or first.error or first.resumed)
    assert len(first.boxes + last.boxes) == len(expected) == 6
    assert_same_boxes(json.loads(out.read_text()), expected)
    assert [path.name for path in out.parent.iterdir()] == ['boxes.json']


@pytest.mark.parametrize('num_processes', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_continues_an_interrupted_run(
    settings, images, expected, tmp_path, num_processes
):
    out, journal = tmp_path / 'boxes.json', tmp_path / 'boxes.json.journal.jsonl'
    first = interrupt_detection(images, settings, out)
    assert first.image_id == 1
    assert not out.exists()
    lines = journal.read_text().splitlines()
    header, record = map(json.loads, lines)
    assert header == dict(
        config=settings.config,
        checkpoint=settings.checkpoint,
        score_thr='0.0',
        top_k='3',
        images=header['images'],
        sha256=file_digest(settings.checkpoint),
    )
    assert record == dict(image_id=1, boxes=first.boxes)

    # The boxes of the journal are used, and a line that was cut off is dropped.
    record['boxes'] = [dict(expected[0], score=9.0)]
    journal.write_text(f'{lines[0]}\n{json.dumps(record)}\n{{"image_id": 3, "bo')
    detected = list(
        detect_dataset(
            images,
            settings,
            out,
            batch_size=1,
            num_processes=num_processes,
            devices=['cpu'],
        )
    )
    assert [(i.image_id, i.resumed) for i in detected] == [
        (1, True), (2, False), (3, False)
    ]  # fmt: skip
    assert [len(image.boxes) for image in detected] == [1, 0, 3]
    assert_same_boxes(
        json.loads(out.read_text()), [dict(expected[0], score=9.0), *expected[3:]]
    )
    assert not journal.exists()


@pytest.mark.parametrize('changed', ['images', 'checkpoint'])
def test_boxes_of_other_images_or_weights_are_not_used(
    settings, images, tmp_path, changed
):
    checkpoint, out = tmp_path / 'detector.pth', tmp_path / 'boxes.json'
    shutil.copy(settings.checkpoint, checkpoint)
    settings = replace(settings, checkpoint=str(checkpoint))
    interrupt_detection(images, settings, out)
    if changed == 'images':
        images = [(i, path.with_name(f'other_{path.name}')) for i, path in images]
    else:
        checkpoint.write_bytes(b'other weights')
    with pytest.raises(ValueError, match='other settings'):
        next(detect_dataset(images, settings, out))


def test_videos_in_a_folder_are_named(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        'rmpe_plugin.apis.dataset_detection.print_log',
        lambda text, **_: logged.append(text),
    )
    for name in ('video.mts', '1.png'):
        (tmp_path / name).touch()
    assert list_images(None, tmp_path) == [(1, tmp_path / '1.png')]
    assert logged == [f'{tmp_path}: videos are left out: video.mts']


def test_raises_on_folder_of_videos(tmp_path):
    (tmp_path / 'video.mp4').touch()
    with pytest.raises(FileNotFoundError, match='contains no images, only videos'):
        list_images(None, tmp_path)


def test_raises_on_lists_with_addresses(tmp_path):
    names = tmp_path / 'names.txt'
    names.write_text('a.jpg\nhttps://host/b.jpg\n')
    with pytest.raises(ValueError, match=r'names\.txt must name files only'):
        list_images(None, names)


def test_raises_on_journal_of_other_settings(settings, images, tmp_path):
    journal = tmp_path / 'boxes.json.journal.jsonl'
    lines = (dict(config='other'), dict(image_id=1, boxes=[]))
    journal.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    with pytest.raises(ValueError, match='other settings'):
        next(detect_dataset(images, settings, tmp_path / 'boxes.json'))
    assert len(journal.read_text().splitlines()) == 2


def test_raises_on_missing_config(images, tmp_path):
    settings, out = DetectorSettings('no.py', 'no.pth'), tmp_path / 'boxes.json'
    with pytest.raises(FileNotFoundError, match='no.py'):
        list(detect_dataset(images, settings, out))
    assert not out.exists()


def test_detects_with_the_included_detector_and_with_a_file(coco_cc, tmp_path):
    """The journal of a file depends on its content."""
    images = [(790, coco_cc / '000000000790.jpg')]
    path = shutil.copy(PERSON_FILE, tmp_path / 'detector.onnx')
    found = []
    for config in ('person', str(path)):
        settings = DetectorSettings(config, score_thr=0.35)
        out = tmp_path / 'boxes.json'
        run = detect_dataset(images, settings, out, devices=['cpu'])
        found.append(next(run).boxes)
        header = (tmp_path / 'boxes.json.journal.jsonl').read_text().splitlines()[0]
        assert ('sha256' in json.loads(header)) == (config != 'person')
        assert not list(run)
        assert json.loads(out.read_text()) == found[-1]
    assert found[0] == found[1]
    assert found[0]
