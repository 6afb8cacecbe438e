# SPDX-License-Identifier: Apache-2.0
"""Person boxes of COCO results or annotations."""

from pathlib import Path

from .files import read_annotations, read_results, require_keys
from .people import PERSON_CATEGORY


def read_person_boxes(path: Path) -> list[dict]:
    """Read the person boxes (category 1) of COCO results or of COCO annotations.

    Args:
        path (Path): JSON file.

    Returns:
        list[dict]: Records with ``image_id``, ``bbox`` and ``score``, which is 1 for
        annotations. Crowds are left out. Results without a category are people.

    Raises:
        ValueError: If the file is invalid, or if all boxes have other categories.
    """
    with path.open() as file:
        is_object = file.read(64).lstrip().startswith('{')
    if is_object:
        annotations = read_annotations(path)['annotations']
        require_keys(path, 'annotation', annotations, {'bbox', 'category_id'})
        records = [dict(a, score=1.0) for a in annotations if not a.get('iscrowd')]
    else:
        records = read_results(path, {'image_id', 'bbox', 'score'})
    categories = [record.get('category_id', PERSON_CATEGORY) for record in records]
    if categories and PERSON_CATEGORY not in categories:
        raise ValueError(
            f'{path}: no box has category_id {PERSON_CATEGORY} (person), got '
            f'{", ".join(map(str, sorted(set(categories))[:5]))}'
        )
    return [
        record
        for record, category in zip(records, categories, strict=True)
        if category == PERSON_CATEGORY
    ]
