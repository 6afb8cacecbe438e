# SPDX-License-Identifier: Apache-2.0
import bz2
import gzip
import json
import lzma
import pickle

import numpy as np
import pytest

from rmpe_plugin.structures import is_plain_text, read_coco, read_results

DATASET = dict(images=[], annotations=[])
RESULTS = [dict(image_id=1, score=0.5), dict(image_id=1)]


def read(tmp_path, dataset, results, required_keys=frozenset({'image_id'})):
    paths = tmp_path / 'ann.json', tmp_path / 'det.json'
    for path, content in zip(paths, (dataset, results), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco(*paths, set(required_keys))


def test_reads_annotations_and_results(tmp_path):
    assert read(tmp_path, DATASET, RESULTS) == (DATASET, RESULTS)


@pytest.mark.parametrize(
    ('dataset', 'results', 'message'),
    [
        ('{"images": [', RESULTS, r'ann\.json is not JSON'),
        (DATASET, '', r'det\.json is not JSON'),
        ([], RESULTS, r'ann\.json must hold COCO annotations'),
        (dict(images=[]), RESULTS, r'ann\.json must hold COCO annotations'),
        (DATASET, {}, r'det\.json must be a list of COCO results'),
        (DATASET, [], r'det\.json must be a list of COCO results and not empty'),
    ],
)
def test_error_names_the_invalid_file(tmp_path, dataset, results, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, dataset, results)


def test_error_names_the_missing_keys_of_a_result(tmp_path):
    results = [dict(RESULTS[0], bbox=[0, 0, 1, 1]), RESULTS[1]]
    with pytest.raises(ValueError, match=r'det\.json: result 1 has no bbox, score'):
        read(tmp_path, DATASET, results, {'image_id', 'score', 'bbox'})


def test_read_results_accepts_an_empty_list(tmp_path):
    path = tmp_path / 'det.json'
    path.write_text('[]')
    assert read_results(path, {'bbox'}) == []
    path.write_text('{}')
    with pytest.raises(ValueError, match=r'det\.json must be a list of COCO results'):
        read_results(path, {'bbox'})


ENCODINGS = ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32']


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('compress', [None, gzip.compress, bz2.compress, lzma.compress])
def test_encodings_and_compressed_files(tmp_path, encoding, compress):
    path = tmp_path / 'det.json'
    text = json.dumps([dict(image_id='müller.jpg')], ensure_ascii=False)
    data = text.encode(encoding)
    path.write_bytes(compress(data) if compress else data)
    assert read_results(path, {'image_id'}) == [dict(image_id='müller.jpg')]
    assert is_plain_text(path) == (encoding == 'utf-8' and compress is None)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (pickle.dumps(RESULTS), 'must be JSON, but it is a pickle'),
        (gzip.compress(pickle.dumps(RESULTS)), 'must be JSON, but it is a pickle'),
        (b'PK\x03\x04 and so on', 'must be JSON, but it is a zip archive'),
        (gzip.compress(b'[]')[:-3], 'is damaged'),
        (bz2.compress(b'[]')[:20], 'is damaged'),
        (lzma.compress(b'[]')[:40], 'is damaged'),
        ('["müller.jpg"]'.encode('latin-1'), 'is not JSON: .utf-8. codec'),
        (np.zeros(3).tobytes(), 'is not JSON'),
    ],
    ids=range(8),
)
def test_files_that_are_no_text_are_named(tmp_path, data, message):
    path = tmp_path / 'det.json'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf'det\.json {message}'):
        read_results(path, {'image_id'})
