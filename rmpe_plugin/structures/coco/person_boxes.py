# SPDX-License-Identifier: Apache-2.0
"""Person boxes of COCO results or annotations."""

from pathlib import Path

from .files import read_annotations, read_results, read_text, require_keys
from .people import PERSON_CATEGORY


def read_person_boxes(path: Path) -> list[dict]:
    """Read the person boxes (category 1) of COCO results or of COCO annotations.

    Args:
        path (Path): JSON file.

    Returns:
        list[dict]: Records with ``image_id``, ``bbox`` and ``score``, which is 1 for
        annotations, and with ``file_name`` if the file has the name of the image.
        Crowds are left out. Results without a category are people.

    Raises:
        ValueError: If the file is invalid, or if all boxes have other categories.
    """
    if read_text(path).lstrip().startswith('{'):
        dataset = read_annotations(path)
        annotations = dataset['annotations']
        require_keys(path, 'annotation', annotations, {'bbox', 'category_id'})
        names = {i['id']: i['file_name'] for i in dataset['images'] if 'file_name' in i}
        records = [
            dict(a, score=1.0, file_name=names.get(a['image_id'], ''))
            for a in annotations
            if not a.get('iscrowd')
        ]
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
