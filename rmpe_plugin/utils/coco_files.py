# SPDX-License-Identifier: Apache-2.0
"""COCO's annotation and result files, read and checked record by record."""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

# What a value must be, and in words.
Rule = tuple[Callable[[object], bool], str]

# Larger numbers than any picture has, where float32 counts in steps of 64.
_MOST = 1e9


def _is_number(value: object) -> bool:
    """A finite number; not ``True``, which is one in Python."""
    return type(value) in (int, float) and -_MOST < value < _MOST


def _is_id(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _are_numbers(value: object) -> bool:
    return type(value) is list and all(map(_is_number, value))


def _is_inside(value: object) -> bool:
    """A file name that does not lead out of its folder."""
    if type(value) is not str or not value.strip() or '\0' in value:
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and '..' not in path.parts


_ID = (_is_id, 'an integer of 64 bits')
_POSITIVE = (lambda x: _is_number(x) and x > 0, 'a positive number below 1e9')
_NUMBER = (_is_number, 'a finite number below 1e9')

CATEGORY: dict[str, Rule] = dict(id=_ID)
IMAGE: dict[str, Rule] = dict(
    id=_ID,
    file_name=(_is_inside, 'a path inside the folder of images'),
    width=_POSITIVE,
    height=_POSITIVE,
)
RESULT: dict[str, Rule] = dict(
    # pictures that no data set numbers have names for ids
    image_id=(lambda x: type(x) is str or _is_id(x), 'an integer of 64 bits or a name'),
    category_id=_ID,
    bbox=(lambda x: _are_numbers(x) and len(x) == 4, 'four finite numbers below 1e9'),
    keypoints=(
        lambda x: _are_numbers(x) and len(x) % 3 == 0,
        'a list of three finite numbers below 1e9 a keypoint',
    ),
    area=_NUMBER,
    score=_NUMBER,
)
ANNOTATION: dict[str, Rule] = dict(
    RESULT,
    image_id=_ID,
    id=_ID,
    num_keypoints=(lambda x: _is_id(x) and x >= 0, 'a number of keypoints'),
    iscrowd=(lambda x: x in (0, 1), '0 or 1'),
)


def read_coco(ann: Path, results: Path, wanted: set[str]) -> tuple[dict, list[dict]]:
    """Read annotations and the results that belong to them.

    Args:
        ann (Path): COCO annotations.
        results (Path): COCO results, not empty.
        wanted (set[str]): What every result must have.

    Returns:
        tuple[dict, list[dict]]: Both.

    Raises:
        ValueError: If a file or a record holds something else.
    """
    truth, found = read_annotations(ann), read_results(results, wanted)
    if not found:
        raise ValueError(f'{results} must be a list of COCO results and not empty')
    return truth, found


def read_annotations(path: Path) -> dict:
    """Read annotations.

    Args:
        path (Path): COCO annotations.

    Returns:
        dict: What it holds: ``images`` and ``annotations``, each with an id of its own,
        and ``categories`` if there are any. What a record has is what COCO says it is;
        it may lack anything but its id, and an annotation not its image's.

    Raises:
        ValueError: If the file or a record holds something else.
    """
    truth = _read_json(path)
    if not isinstance(truth, dict) or not {'images', 'annotations'} <= set(truth):
        raise ValueError(f'{path} must hold COCO annotations: images and annotations')
    for what, key, rules, wanted in (
        ('image', 'images', IMAGE, {'id'}),
        ('annotation', 'annotations', ANNOTATION, {'id', 'image_id'}),
        ('category', 'categories', CATEGORY, {'id'}),
    ):
        records = truth.get(key, [])
        _check_records(path, what, records, rules)
        require_keys(path, what, records, wanted)
        _check_unique(path, what, [record['id'] for record in records])
    return truth


def read_results(path: Path, wanted: set[str]) -> list[dict]:
    """Read results.

    Args:
        path (Path): COCO results; may be none.
        wanted (set[str]): What every result must have.

    Returns:
        list[dict]: The results.

    Raises:
        ValueError: If the file or a record holds something else.
    """
    found = _read_json(path)
    if not isinstance(found, list):
        raise ValueError(f'{path} must be a list of COCO results')
    _check_records(path, 'result', found, RESULT)
    require_keys(path, 'result', found, wanted)
    return found


def require_keys(path: Path, what: str, records: list[dict], wanted: set[str]) -> None:
    """Refuse records that lack something.

    Args:
        path (Path): Where they are from.
        what (str): What a record is called.
        records (list[dict]): The records.
        wanted (set[str]): What every record must have.

    Raises:
        ValueError: If a record lacks something.
    """
    for i, record in enumerate(records):
        lacking = wanted - record.keys()
        if lacking:
            raise ValueError(
                f'{path}: {_name(what, i, record)} has no {", ".join(sorted(lacking))}'
            )


def require_images(path: Path, what: str, records: list[dict], truth: dict) -> None:
    """Refuse records of images that are not there.

    Args:
        path (Path): Where they are from.
        what (str): What a record is called.
        records (list[dict]): Records with ``image_id``.
        truth (dict): COCO annotations with these images.

    Raises:
        ValueError: If an image is not there.
    """
    images = {image['id'] for image in truth['images']}
    for i, record in enumerate(records):
        if record['image_id'] not in images:
            raise ValueError(
                f'{path}: {_name(what, i, record)} is of image '
                f'{_short(record["image_id"])}, which is not among the '
                f'{len(images)} images'
            )


def require_keypoints(
    path: Path, what: str, records: list[dict], num_keypoints: int
) -> None:
    """Refuse records of another number of keypoints.

    Args:
        path (Path): Where they are from.
        what (str): What a record is called.
        records (list[dict]): The records; those without ``keypoints`` may be.
        num_keypoints (int): K.

    Raises:
        ValueError: If a record has another number of keypoints.
    """
    for i, record in enumerate(records):
        if 'keypoints' in record and len(record['keypoints']) != 3 * num_keypoints:
            raise ValueError(
                f'{path}: {_name(what, i, record)} has {len(record["keypoints"])} '
                f'keypoint numbers, the data set wants 3 x {num_keypoints}'
            )


def _check_records(
    path: Path, what: str, records: object, rules: dict[str, Rule]
) -> None:
    """Refuse records that hold something else than their rules say."""
    if type(records) is not list:
        raise ValueError(f'{path}: the {what} records must be a list')
    for i, record in enumerate(records):
        if type(record) is not dict:
            raise ValueError(f'{path}: {what} {i} must be an object of JSON')
        for key, (fits, wanted) in rules.items():
            if key in record and not fits(record[key]):
                raise ValueError(
                    f'{path}: {_name(what, i, record)}: {key} must be {wanted}, got '
                    f'{_short(record[key])}'
                )


def _check_unique(path: Path, what: str, ids: list[int]) -> None:
    """Refuse ids that are given twice."""
    seen = set()
    for i in ids:
        if i in seen:
            raise ValueError(f'{path}: two {what} records have the id {i}')
        seen.add(i)


def _name(what: str, i: int, record: dict) -> str:
    """A record's place, and its id if it has one."""
    return f'{what} {i}' + (f' (id {_short(record["id"])})' if 'id' in record else '')


def _short(value: object) -> str:
    """A value as JSON has it, not longer than a line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _read_json(path: Path) -> object:
    """What a JSON file holds."""
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
