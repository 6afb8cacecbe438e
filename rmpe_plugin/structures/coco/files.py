# SPDX-License-Identifier: Apache-2.0
"""Read COCO annotation and result files and validate each record."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from .json_stream import iterate_json_list

# A check of a value, and a description of valid values for the error message.
Rule = tuple[Callable[[Any], bool], str]

# float32 represents coordinates up to here with a step of 64 pixels at most, and no
# image is as large.
_MAX_NUMBER = 1e9


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number in range; ``True`` and ``False`` are not."""
    # Not isinstance: bool is a subclass of int.
    return type(value) in (int, float) and -_MAX_NUMBER < value < _MAX_NUMBER


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_id(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_count(value: Any) -> bool:
    # Tables write whole numbers as 18.0.
    return _is_number(value) and value >= 0 and value == int(value)


def _is_image_id_or_name(value: Any) -> bool:
    return isinstance(value, str) or _is_id(value)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_bbox(value: Any) -> bool:
    return _is_numbers(value) and len(value) == 4


def _is_scored_keypoints(value: Any) -> bool:
    return _is_numbers(value) and len(value) % 3 == 0


def _is_labelled_keypoints(value: Any) -> bool:
    return _is_scored_keypoints(value) and set(value[2::3]) <= {0, 1, 2}


def _is_relative_path(value: Any) -> bool:
    """Whether a value is a file name that does not lead out of its folder."""
    if not isinstance(value, str) or not value.strip() or '\0' in value:
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and '..' not in path.parts


# First bytes of compressed files, and of files that are no text.
_COMPRESSIONS = {
    b'\x1f\x8b': gzip.decompress,
    b'BZh': bz2.decompress,
    b'\xfd7zXZ': lzma.decompress,
}
_NO_TEXT = {
    b'\x80': 'a pickle, which could run code: convert it to JSON',
    b'PK': 'a zip archive: unpack it',
    b'\x93NUMPY': 'an array of NumPy: convert it to JSON',
    b'\x89HDF': 'an HDF5 file: convert it to JSON',
}

_ID = (_is_id, 'an integer of 64 bits')
_NUMBER = (_is_number, 'a finite number below 1e9')
_POSITIVE = (_is_positive, 'a positive number below 1e9')

CATEGORY_RULES: dict[str, Rule] = dict(id=_ID)
IMAGE_RULES: dict[str, Rule] = dict(
    id=_ID,
    file_name=(_is_relative_path, 'a path inside the folder of images'),
    width=_POSITIVE,
    height=_POSITIVE,
)
RESULT_RULES: dict[str, Rule] = dict(
    # Images that belong to no data set are identified by a name.
    image_id=(_is_image_id_or_name, 'an integer of 64 bits or a name'),
    category_id=_ID,
    bbox=(_is_bbox, 'four finite numbers below 1e9'),
    keypoints=(
        _is_scored_keypoints,
        'a list of three finite numbers below 1e9 for each keypoint',
    ),
    area=_NUMBER,
    score=_NUMBER,
    track_id=_ID,
)
ANNOTATION_RULES: dict[str, Rule] = dict(
    RESULT_RULES,
    image_id=_ID,
    id=_ID,
    keypoints=(
        _is_labelled_keypoints,
        'a list of x, y (finite numbers below 1e9) and visibility (0, 1 or 2) for each '
        'keypoint',
    ),
    num_keypoints=(_is_count, 'a whole number of at least 0'),
    area=(
        lambda value: _is_number(value) and value >= 0,
        'a finite number of at least 0 and below 1e9',
    ),
    iscrowd=(lambda value: value in (0, 1), '0 or 1'),
)


def read_coco(
    ann_file: Path, result_file: Path, required_keys: set[str]
) -> tuple[dict, list[dict]]:
    """Read annotations and the results for them.

    Args:
        ann_file (Path): COCO annotations.
        result_file (Path): COCO results, not empty.
        required_keys (set[str]): Keys that every result must have.

    Returns:
        tuple[dict, list[dict]]: The annotations, see :func:`read_annotations`, and the
        results.

    Raises:
        ValueError: If a file is not JSON, a record is invalid, or there is no result.
    """
    dataset = read_annotations(ann_file)
    results = read_results(result_file, required_keys)
    if not results:
        raise ValueError(f'{result_file} must be a list of COCO results and not empty')
    return dataset, results


def read_annotations(path: Path) -> dict:
    """Read COCO annotations.

    Args:
        path (Path): Annotation file.

    Returns:
        dict: The content of the file: ``images``, ``annotations`` and optionally
        ``categories``, each with unique ids. Annotations have an ``image_id``. All
        other keys are optional, but valid where present.

    Raises:
        ValueError: If the file is not JSON or a record is invalid.
    """
    dataset = read_images(path)
    if 'annotations' not in dataset:
        raise ValueError(f'{path} must hold COCO annotations: images and annotations')
    return dataset


def read_images(path: Path) -> dict:
    """Read COCO's images, which may have no annotations.

    COCO's files ``image_info_*.json`` of the test splits have none.

    Args:
        path (Path): Annotation file.

    Returns:
        dict: As :func:`read_annotations`, but ``annotations`` is optional.

    Raises:
        ValueError: If the file is not JSON or a record is invalid.
    """
    dataset = _read_json(path)
    if not isinstance(dataset, dict) or 'images' not in dataset:
        raise ValueError(f'{path} must hold COCO annotations: images and annotations')
    check_annotations(path, dataset)
    return dataset


def check_annotations(path: Path, dataset: dict) -> None:
    """Check the records of COCO annotations.

    Args:
        path (Path): Their file, for the error message.
        dataset (dict): Content of the file.

    Raises:
        ValueError: If a record is invalid.
    """
    for kind, key, rules, required_keys in (
        ('image', 'images', IMAGE_RULES, {'id'}),
        ('annotation', 'annotations', ANNOTATION_RULES, {'id', 'image_id'}),
        ('category', 'categories', CATEGORY_RULES, {'id'}),
    ):
        records = dataset.get(key, [])
        _require_valid(path, kind, records, rules)
        require_keys(path, kind, records, required_keys)
        _require_unique(path, kind, [record['id'] for record in records])


def read_results(path: Path, required_keys: set[str]) -> list[dict]:
    """Read COCO results.

    Args:
        path (Path): Result file.
        required_keys (set[str]): Keys that every result must have.

    Returns:
        list[dict]: The results, possibly none.

    Raises:
        ValueError: If the file is not JSON or a record is invalid.
    """
    return list(iterate_results(path, required_keys))


def iterate_results(path: Path, required_keys: set[str]) -> Iterator[dict]:
    """Read COCO results one by one, without keeping them in memory.

    Args:
        path (Path): Result file.
        required_keys (set[str]): Keys that every result must have.

    Yields:
        dict: A result.

    Raises:
        ValueError: If the file is not JSON or a record is invalid. Records before it
            are yielded.
    """
    for i, record in enumerate(_iterate_list(path, 'COCO results')):
        _require_valid_record(path, 'result', i, record, RESULT_RULES)
        _require_keys_of(path, 'result', i, record, required_keys)
        yield record


def _iterate_list(path: Path, content: str) -> Iterator[Any]:
    """Values of a JSON list; other encodings and compressed files are read at once."""
    if is_plain_text(path):
        yield from iterate_json_list(path, content)
        return
    values = _read_json(path)
    if not isinstance(values, list):
        raise ValueError(f'{path} must be a list of {content}')
    yield from values


def require_keys(
    path: Path, kind: str, records: list[dict], required_keys: set[str]
) -> None:
    """Check that records have certain keys.

    Args:
        path (Path): File of the records, for the error message.
        kind (str): Kind of the records, for the error message.
        records (list[dict]): The records.
        required_keys (set[str]): Keys that every record must have.

    Raises:
        ValueError: If a record lacks a key.
    """
    for i, record in enumerate(records):
        _require_keys_of(path, kind, i, record, required_keys)


def _require_keys_of(
    path: Path, kind: str, i: int, record: dict, required_keys: set[str]
) -> None:
    """Raise if a record lacks a key."""
    missing = required_keys - record.keys()
    if missing:
        raise ValueError(
            f'{path}: {_describe(kind, i, record)} has no {", ".join(sorted(missing))}'
        )


def require_images(path: Path, kind: str, records: list[dict], dataset: dict) -> None:
    """Check that records belong to the images of a data set.

    Args:
        path (Path): File of the records, for the error message.
        kind (str): Kind of the records, for the error message.
        records (list[dict]): Records with ``image_id``.
        dataset (dict): COCO annotations with the images.

    Raises:
        ValueError: If the image of a record is not in the data set.
    """
    images = {image['id'] for image in dataset['images']}
    for i, record in enumerate(records):
        if record['image_id'] not in images:
            raise ValueError(
                f'{path}: {_describe(kind, i, record)} is of image '
                f'{_shorten(record["image_id"])}, which is not among the '
                f'{len(images)} images'
            )


def require_categories(path: Path, dataset: dict) -> None:
    """Check that the category of each annotation is listed.

    COCO's evaluation leaves out annotations of other categories in silence.

    Args:
        path (Path): File of the annotations, for the error message.
        dataset (dict): COCO annotations.

    Raises:
        ValueError: If there are no ``categories``, or one is not among them.
    """
    listed = {category['id'] for category in dataset.get('categories', [])}
    if not listed:
        raise ValueError(f'{path} has no categories')
    annotations = dataset.get('annotations', [])
    require_keys(path, 'annotation', annotations, {'category_id'})
    for i, record in enumerate(annotations):
        if record['category_id'] not in listed:
            raise ValueError(
                f'{path}: {_describe("annotation", i, record)}: category_id '
                f'{record["category_id"]} is not among the categories {sorted(listed)}'
            )


def require_keypoints(
    path: Path, kind: str, records: list[dict], num_keypoints: int
) -> None:
    """Check the number of keypoints of records.

    Args:
        path (Path): File of the records, for the error message.
        kind (str): Kind of the records, for the error message.
        records (list[dict]): The records; those without ``keypoints`` are skipped, and
            annotations with an empty list, which have no labels.
        num_keypoints (int): Number of keypoints K.

    Raises:
        ValueError: If a record has another number of keypoints.
    """
    for i, record in enumerate(records):
        numbers = record.get('keypoints')
        if numbers is None or (kind == 'annotation' and not numbers):
            continue
        if len(numbers) != 3 * num_keypoints:
            raise ValueError(
                f'{path}: {_describe(kind, i, record)} has {len(numbers)} '
                f'keypoint numbers, expected 3 x {num_keypoints}'
            )


def _require_valid(
    path: Path, kind: str, records: object, rules: dict[str, Rule]
) -> None:
    """Raise if ``records`` is no list of objects whose values follow the rules."""
    if not isinstance(records, list):
        raise ValueError(f'{path}: the {kind} records must be a list')
    for i, record in enumerate(records):
        _require_valid_record(path, kind, i, record, rules)


def _require_valid_record(
    path: Path, kind: str, i: int, record: object, rules: dict[str, Rule]
) -> None:
    """Raise if a record is no object whose values follow the rules."""
    if not isinstance(record, dict):
        raise ValueError(f'{path}: {kind} {i} must be a JSON object')
    for key, (is_valid, expected) in rules.items():
        if key in record and not is_valid(record[key]):
            raise ValueError(
                f'{path}: {_describe(kind, i, record)}: {key} must be {expected}, got '
                f'{_shorten(record[key])}'
            )


def _require_unique(path: Path, kind: str, ids: list[int]) -> None:
    """Raise if an id occurs twice."""
    known = set()
    for i in ids:
        if i in known:
            raise ValueError(f'{path}: two {kind} records have the id {i}')
        known.add(i)


def _describe(kind: str, i: int, record: dict) -> str:
    """Index of a record, with its id if it has one."""
    suffix = f' (id {_shorten(record["id"])})' if 'id' in record else ''
    return f'{kind} {i}{suffix}'


def _shorten(value: object) -> str:
    """JSON of a value, cut to 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _read_json(path: Path) -> object:
    """Content of a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not JSON: {error}') from error


def is_plain_text(path: Path) -> bool:
    """Check whether a file begins as a text in UTF-8, which all readers of JSON read.

    Args:
        path (Path): The file.

    Returns:
        bool: ``False`` for a byte order mark, UTF-16, UTF-32 and compressed files.
    """
    with path.open('rb') as file:
        start = file.read(8)
    is_utf8 = json.detect_encoding(start) == 'utf-8'
    return is_utf8 and not start.startswith((*_COMPRESSIONS, *_NO_TEXT))


def read_text(path: Path) -> str:
    """Read a text in UTF-8, UTF-16 or UTF-32, which can be compressed.

    Args:
        path (Path): The file, possibly compressed with gzip, bzip2 or xz.

    Returns:
        str: Its text, without a byte order mark.

    Raises:
        ValueError: If the file is a pickle or an archive, is damaged, or has another
            encoding.
    """
    data = path.read_bytes()
    for start, decompress in _COMPRESSIONS.items():
        if data.startswith(start):
            try:
                data = decompress(data)
            except (EOFError, OSError, ValueError, lzma.LZMAError, zlib.error) as error:
                raise ValueError(f'{path} is damaged: {error}') from error
    for start, kind in _NO_TEXT.items():
        if data.startswith(start):
            raise ValueError(f'{path} must be JSON, but it is {kind}')
    # As for JSON, the encoding is that of the first bytes.
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding).removeprefix('\ufeff')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
