# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from rmpe_plugin.apis import (
    DatasetDetection,
    DetectorSettings,
    PersonDetector,
    list_images,
    read_image,
)
from rmpe_plugin.structures import boxes_to_records
from rmpe_plugin.utils.files import file_digest


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
    frames = [read_image(path, image_id) for image_id, path in images]
    people = detector.detect_frames(frames)
    assert people.keys() == {1, 3}
    return [r for i, boxes in people.items() for r in boxes_to_records(i, boxes)]


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
    with DatasetDetection(images, settings, out) as run:
        assert run.resumed == 0
        results = list(run.detect(batch_size=2, devices=['cpu']))
        assert [result.image_id for result in results] == [1, 2, 3]
        assert [result.image_id for result in run.failed] == [2]
        assert 'UnidentifiedImageError' in run.failed[0].error
        assert run.pending == [images[1]]
        assert run.write() == len(expected) == 6
    assert_same_boxes(json.loads(out.read_text()), expected)
    assert [path.name for path in out.parent.iterdir()] == ['boxes.json']


@pytest.mark.parametrize('num_processes', [1, 2])
def test_continues_an_interrupted_run(
    settings, images, expected, tmp_path, num_processes
):
    out, journal = tmp_path / 'boxes.json', tmp_path / 'boxes.json.journal.jsonl'
    with DatasetDetection(images, settings, out) as run:
        results = run.detect(batch_size=1, devices=['cpu'])
        assert next(results).image_id == 1
        results.close()
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
    assert record == dict(image_id=1, boxes=run.journal.records[0]['boxes'])

    # The boxes of the journal are used, and a line that was cut off is dropped.
    record['boxes'] = [dict(expected[0], score=9.0)]
    journal.write_text(f'{lines[0]}\n{json.dumps(record)}\n{{"image_id": 3, "bo')
    with DatasetDetection(images, settings, out) as run:
        assert run.resumed == 1
        for _ in run.detect(num_processes=num_processes, devices=['cpu']):
            pass
        assert run.write() == 4
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
    with DatasetDetection(images, settings, out) as run:
        run.journal.append(dict(image_id=1, boxes=[]))
    if changed == 'images':
        images = [(i, path.with_name(f'other_{path.name}')) for i, path in images]
    else:
        checkpoint.write_bytes(b'other weights')
    with pytest.raises(ValueError, match='other settings'):
        DatasetDetection(images, settings, out)


def test_raises_on_folder_of_videos(tmp_path):
    (tmp_path / 'video.mp4').touch()
    with pytest.raises(FileNotFoundError, match='contains no images, only videos'):
        list_images(None, tmp_path)


def test_raises_on_journal_of_other_settings(settings, images, tmp_path):
    journal = tmp_path / 'boxes.json.journal.jsonl'
    lines = (dict(config='other'), dict(image_id=1, boxes=[]))
    journal.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    with pytest.raises(ValueError, match='other settings'):
        DatasetDetection(images, settings, tmp_path / 'boxes.json')
    assert len(journal.read_text().splitlines()) == 2


def test_raises_on_missing_config(images, tmp_path):
    settings = DetectorSettings('no.py', 'no.pth')
    with (
        DatasetDetection(images, settings, tmp_path / 'boxes.json') as run,
        pytest.raises(FileNotFoundError, match='no.py'),
    ):
        list(run.detect())
    assert not (tmp_path / 'boxes.json').exists()
