# SPDX-License-Identifier: Apache-2.0
"""COCO's box AP of a person detector."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rmpe_plugin.structures import (
    PERSON_CATEGORY,
    read_annotations,
    read_results,
    require_images,
    require_keys,
)

# In the order of ``COCOeval.stats``.
METRICS = (
    'AP', 'AP .5', 'AP .75', 'AP (S)', 'AP (M)', 'AP (L)',
    'AR (1 box)', 'AR (10 boxes)', 'AR (100 boxes)', 'AR (S)', 'AR (M)', 'AR (L)',
)  # fmt: skip
# Share of the people with a box of IoU 0.5 or more, among 100 boxes per image.
RECALL = 'recall .5'
PERSON = dict(id=PERSON_CATEGORY, name='person')


def person_box_ap(ann_file: Path, result_file: Path) -> dict[str, float]:
    """Evaluate person boxes with COCO's metrics.

    Args:
        ann_file (Path): COCO annotations.
        result_file (Path): COCO results with boxes.

    Returns:
        dict[str, float]: ``'AP'``, the mean over IoU thresholds 0.5 to 0.95, and COCO's
        other eleven box metrics, and ``'recall .5'``, the share of people that are
        found at an IoU of 0.5, of the category person (id 1). A metric of an area
        range without annotations is -1, as COCO defines it. Without results all are 0.

    Raises:
        ValueError: If a file lacks what the metrics need, or if no person is annotated.
    """
    annotations = read_annotations(ann_file)
    people = annotations['annotations']
    required = {'category_id', 'bbox', 'area', 'iscrowd'}
    require_keys(ann_file, 'annotation', people, required)
    if all(person['category_id'] != PERSON_CATEGORY for person in people):
        raise ValueError(f'{ann_file} has no annotated people')
    results = read_results(result_file, {'image_id', 'category_id', 'bbox', 'score'})
    require_images(result_file, 'result', results, annotations)
    if not results:
        return dict.fromkeys((*METRICS, RECALL), 0.0)
    with redirect_stdout(StringIO()):
        coco = COCO()
        coco.dataset = {'categories': [PERSON], **annotations}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), 'bbox')
        evaluation.params.catIds = [PERSON_CATEGORY]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    metrics = dict(zip(METRICS, map(float, evaluation.stats), strict=True))
    # axes: IoU thresholds, categories, area ranges, numbers of boxes
    return dict(metrics, **{RECALL: float(evaluation.eval['recall'][0, 0, 0, -1])})
