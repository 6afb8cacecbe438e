# SPDX-License-Identifier: Apache-2.0
"""COCO's annotation and result files, read and checked."""

import json
from pathlib import Path


def read_coco(ann: Path, results: Path, wanted: set[str]) -> tuple[dict, list[dict]]:
    """Read annotations and the results that belong to them.

    Args:
        ann (Path): COCO annotations.
        results (Path): COCO results, not empty.
        wanted (set[str]): What every result must have.

    Returns:
        tuple[dict, list[dict]]: Both.

    Raises:
        ValueError: If a file holds something else, or a result lacks something.
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
        dict: What it holds.

    Raises:
        ValueError: If the file holds something else.
    """
    truth = _read_json(path)
    if not isinstance(truth, dict) or not {'images', 'annotations'} <= set(truth):
        raise ValueError(f'{path} must hold COCO annotations: images and annotations')
    return truth


def read_results(path: Path, wanted: set[str]) -> list[dict]:
    """Read results.

    Args:
        path (Path): COCO results; may be none.
        wanted (set[str]): What every result must have.

    Returns:
        list[dict]: The results.

    Raises:
        ValueError: If the file holds something else, or a result lacks something.
    """
    found = _read_json(path)
    if not isinstance(found, list):
        raise ValueError(f'{path} must be a list of COCO results')
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
        lacking = wanted - set(record)
        if lacking:
            raise ValueError(f'{path}: {what} {i} has no {", ".join(sorted(lacking))}')


def _read_json(path: Path) -> object:
    """What a JSON file holds."""
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
