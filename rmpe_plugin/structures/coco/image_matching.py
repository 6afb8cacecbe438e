# SPDX-License-Identifier: Apache-2.0
"""Which image or frame COCO records belong to: by file name, otherwise by id.

Annotation tools number images as they like, often from 1, so an id is not the number in
a file name.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

_NUMBER = re.compile(r'(\d+)$')


def match_images(
    path: Path, records: Sequence[dict], files: Mapping[int | str, str]
) -> dict[int | str, list[dict]]:
    """Group records by the image that they belong to.

    A record belongs to the image with its ``file_name``: of names with equal last
    parts, the one with most equal folders; a name without an equal one belongs to the
    image with an equal stem. A record without a name belongs to the image with its
    ``image_id``, which can also be a name.

    Args:
        path (Path): File of the records, for error messages.
        records (Sequence[dict]): COCO records with ``image_id`` and optionally
            ``file_name``.
        files (Mapping[int | str, str]): Path of each image by id, ``''`` for one in
            memory.

    Returns:
        dict[int | str, list[dict]]: Records by the id of the image. Records of other
        images are not included.

    Raises:
        ValueError: If records of several images fit one image equally well, or if no
            record belongs to any image.
    """
    by_name: dict[str, list[dict]] = defaultdict(list)
    matched: dict[int | str, list[dict]] = defaultdict(list)
    for record in records:
        name, image_id = _name_of(record, files), record['image_id']
        if name:
            by_name[name].append(record)
        elif image_id in files:
            matched[image_id].append(record)
    for image_id, (name, *others) in _best_names([*by_name], files).items():
        if others or image_id in matched:
            raise ValueError(
                f'{path}: several images of this file fit {files[image_id]}: '
                f'{", ".join([name, *others][:3])}'
                + (f' and the id {image_id}' if image_id in matched else '')
            )
        matched[image_id] = by_name[name]
    if records and files and not matched:
        raise ValueError(_describe_mismatch(path, records, files, 'image'))
    return dict(matched)


def match_frames(
    path: Path, records: Sequence[dict], ids: Sequence[int | str]
) -> dict[int | str, list[dict]]:
    """Group records by the frame of a video that they belong to.

    A record with ``image_id`` among the ids belongs to this frame, unless the numbers
    at the end of the ``file_name`` of all records are one less, as in annotations whose
    ids count from 1 and names from 0.

    Args:
        path (Path): File of the records, for error messages.
        records (Sequence[dict]): COCO records with ``image_id``, an index, ``'VIDEO/'``
            and an index, or a name that ends in the index; and optionally
            ``file_name``.
        ids (Sequence[int | str]): Id of each frame of the video.

    Returns:
        dict[int | str, list[dict]]: Records by the id of the frame. Those of other
        videos, whose ids have another ``'VIDEO/'``, are not included.

    Raises:
        ValueError: If ids and names contradict each other, a record belongs to a frame
            beyond the end, or no record belongs to any frame.
    """
    prefix = f'{ids[0]}'.rpartition('/')[0]
    indices = [_index_of(record, prefix) for record in records]
    if _names_count_from_0(path, records):
        indices = [_trailing_number(record['file_name']) for record in records]
    matched: dict[int | str, list[dict]] = defaultdict(list)
    for record, index in zip(records, indices, strict=True):
        if index is None:
            continue
        if not 0 <= index < len(ids):
            raise ValueError(
                f'{path}: a record is of frame {index}, but the video has the frames 0 '
                f'to {len(ids) - 1}; frames are counted from 0'
            )
        matched[ids[index]].append(record)
    if records and not matched:
        files = dict.fromkeys(ids, '')
        raise ValueError(_describe_mismatch(path, records, files, 'frame'))
    return dict(matched)


def _name_of(record: dict, ids: Mapping[int | str, str]) -> str:
    """File name of a record's image; ``''`` if its id decides."""
    image_id = record['image_id']
    if ids.get(image_id) == '':  # in memory
        return ''
    if name := record.get('file_name', ''):
        return name
    return image_id if isinstance(image_id, str) and image_id not in ids else ''


def _parts(name: str) -> tuple[str, ...]:
    """Parts of a path of any operating system, the last one first."""
    return PurePosixPath(name.replace('\\', '/')).parts[::-1]


def _best_names(
    names: Sequence[str], files: Mapping[int | str, str]
) -> dict[int | str, list[str]]:
    """The names that fit each image best."""
    by_file, by_stem = defaultdict(list), defaultdict(list)
    for image_id, file in files.items():
        if not file:  # in memory
            continue
        by_file[_parts(file)[0]].append(image_id)
        by_stem[PurePosixPath(file).stem.casefold()].append(image_id)
    found: dict[int | str, tuple[int, list[str]]] = {}
    for name in names:
        parts = _parts(name)
        stem = PurePosixPath(parts[0]).stem.casefold()
        for image_id in by_file.get(parts[0]) or by_stem.get(stem, []):
            equal = _count_equal(parts, _parts(files[image_id]))
            best, others = found.get(image_id, (-1, []))
            if equal >= best:
                others = others if equal == best else []
                found[image_id] = equal, [*others, name]
    return {image_id: fitting for image_id, (_, fitting) in found.items()}


def _count_equal(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    """Number of equal first elements."""
    pairs = zip(a, b, strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


def _trailing_number(name: str) -> int | None:
    """Number at the end of a name's stem."""
    match = _NUMBER.search(PurePosixPath(_parts(name)[0]).stem)
    return int(match[1]) if match else None


def _index_of(record: dict, prefix: str) -> int | None:
    """Index of the frame from an id; ``None`` for another video or none."""
    image_id = record['image_id']
    if isinstance(image_id, int):
        return None if prefix else image_id
    video, _, index = image_id.rpartition('/')
    if index.isdecimal():
        return int(index) if video == prefix else None
    return None if prefix else _trailing_number(image_id)


def _names_count_from_0(path: Path, records: Sequence[dict]) -> bool:
    """Whether ids count from 1, and the numbers in names from 0."""
    pairs = [(r['image_id'], r['file_name']) for r in records if r.get('file_name')]
    if len(pairs) < len(records) or len({name for _, name in pairs}) < 2:
        return False
    shifts = {
        None if number is None or isinstance(image_id, str) else image_id - number
        for image_id, number in ((i, _trailing_number(name)) for i, name in pairs)
    }
    if shifts <= {0, 1, -1} and len(shifts) == 1:
        return shifts == {1}
    if shifts == {None}:
        return False
    image_id, name = pairs[0]
    raise ValueError(
        f'{path}: the ids of frames and the numbers in their names do not fit, such as '
        f'{image_id} and {name}'
    )


def _describe_mismatch(
    path: Path, records: Sequence[dict], files: Mapping[int | str, str], kind: str
) -> str:
    """Message that no box or pose belongs to any image."""
    ids = list(dict.fromkeys(record['image_id'] for record in records))
    names = [*dict.fromkeys(r['file_name'] for r in records if r.get('file_name'))]
    text = f'{path}: no record belongs to any {kind}: image ids of records {ids[:3]}'
    text += f', file names {names[:3]}' if names else ''
    text += f', ids of the {kind}s {[*files][:3]}'
    known = [Path(file).name for file in files.values() if file]
    return text + (f', file names {known[:3]}' if known else '')
