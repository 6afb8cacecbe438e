# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.structures import read_coco, read_results

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
