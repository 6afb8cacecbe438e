# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.utils.coco_files import read_coco, read_results

TRUTH = dict(images=[], annotations=[])
RESULTS = [dict(image_id=1, score=0.5), dict(image_id=1)]


def read(tmp_path, truth, results, wanted=frozenset({'image_id'})):
    paths = tmp_path / 'ann.json', tmp_path / 'det.json'
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco(*paths, set(wanted))


def test_reads_both(tmp_path):
    assert read(tmp_path, TRUTH, RESULTS) == (TRUTH, RESULTS)


@pytest.mark.parametrize(
    ('truth', 'results', 'message'),
    [
        ('{"images": [', RESULTS, r'ann\.json is not JSON'),
        (TRUTH, '', r'det\.json is not JSON'),
        ([], RESULTS, r'ann\.json must hold COCO annotations'),
        (dict(images=[]), RESULTS, r'ann\.json must hold COCO annotations'),
        (TRUTH, {}, r'det\.json must be a list of COCO results'),
        (TRUTH, [], r'det\.json must be a list of COCO results and not empty'),
    ],
)
def test_says_which_file_is_wrong(tmp_path, truth, results, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, truth, results)


def test_says_which_result_lacks_what(tmp_path):
    with pytest.raises(ValueError, match=r'det\.json: result 1 has no bbox, score'):
        wanted = {'image_id', 'score', 'bbox'}
        read(tmp_path, TRUTH, [dict(RESULTS[0], bbox=[0, 0, 1, 1]), RESULTS[1]], wanted)


def test_no_results_are_results(tmp_path):
    path = tmp_path / 'det.json'
    path.write_text('[]')
    assert read_results(path, {'bbox'}) == []
    path.write_text('{}')
    with pytest.raises(ValueError, match=r'det\.json must be a list of COCO results'):
        read_results(path, {'bbox'})
