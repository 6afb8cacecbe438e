# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.evaluation.functional import person_box_ap

ANNOTATION = dict(
    id=7, image_id=1, category_id=1, bbox=[0, 0, 20, 40], area=800, iscrowd=0
)
RESULT = dict(image_id=1, category_id=1, bbox=[0, 0, 20, 40], score=0.9)


def evaluate(folder, annotations, results):
    """Write the files and evaluate them."""
    ann_file, result_file = folder / 'ann.json', folder / 'boxes.json'
    images = [dict(id=1), dict(id=2)]
    ann_file.write_text(json.dumps(dict(images=images, annotations=annotations)))
    result_file.write_text(json.dumps(results))
    return person_box_ap(ann_file, result_file)


def test_perfect_and_missing_boxes(tmp_path):
    second = dict(ANNOTATION, id=8, image_id=2)
    metrics = evaluate(tmp_path, [ANNOTATION], [RESULT])
    for name in ('AP', 'AP .5', 'AP (S)', 'AR (1 box)'):
        assert metrics[name] == pytest.approx(1)
    # There are no large annotations.
    assert metrics['AP (L)'] == -1
    # Recall is 0.5, so that 51 of COCO's 101 precisions are 1.
    metrics = evaluate(tmp_path, [ANNOTATION, second], [RESULT])
    assert metrics['AP'] == pytest.approx(51 / 101)
    assert metrics['recall .5'] == 0.5
    loose = dict(RESULT, image_id=2, bbox=[0, 0, 20, 24])  # IoU 0.6
    metrics = evaluate(tmp_path, [ANNOTATION, second], [RESULT, loose])
    assert metrics['recall .5'] == 1


def test_other_categories_are_ignored(tmp_path):
    cat = dict(ANNOTATION, id=8, category_id=2, bbox=[100, 0, 20, 40])
    metrics = evaluate(tmp_path, [ANNOTATION, cat], [RESULT])
    assert metrics['AP'] == pytest.approx(1)


def test_no_results_have_an_ap_of_zero(tmp_path, capsys):
    metrics = evaluate(tmp_path, [ANNOTATION], [])
    assert len(metrics) == 13
    assert set(metrics.values()) == {0.0}
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize(
    ('annotations', 'results', 'message'),
    [
        (
            [dict(id=7, image_id=1, bbox=[0, 0, 2, 2])],
            [],
            r'annotation 0 \(id 7\) has no area, category_id, iscrowd',
        ),
        ([], [RESULT], 'ann.json has no annotated people'),
        ([dict(ANNOTATION, category_id=2)], [RESULT], 'has no annotated people'),
        ([ANNOTATION], [dict(RESULT, image_id=3)], 'image 3'),
        ([ANNOTATION], [dict(image_id=1)], 'bbox'),
    ],
)
def test_raises_on_invalid_files(tmp_path, annotations, results, message):
    with pytest.raises(ValueError, match=message):
        evaluate(tmp_path, annotations, results)
