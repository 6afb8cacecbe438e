# SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.datasets.body import CocoDataset
from mmpose.registry import DATASETS
from PIL import Image

from rmpe_plugin.datasets.conversion import image_size
from rmpe_plugin.structures import (
    PERSON_CATEGORY,
    category_metainfo,
    compare_keypoints,
    is_evaluated,
    is_plain_text,
    parse_metainfo,
    read_annotations,
    read_images,
    read_results,
    require_categories,
    require_images,
    require_keypoints,
    require_keys,
)

# Boxes from 0 to 1 are smaller, pixels.
_MIN_SIDE = 2


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """MMPose's ``CocoDataset`` with validation of its files.

    MMPose raises a bare ``KeyError`` for a missing key, trains on values that are not
    finite, clips boxes to an annotated size that is not the image's, and drops people
    without logging it. Here each record of ``ann_file`` and ``bbox_file``, the sizes of
    the images, and ``metainfo`` are validated first.

    Crowds, people without a box or labelled keypoints, and boxes that are empty,
    outside of their image or below 2 x 2 pixels are dropped. The reasons are logged.

    Without ``metainfo``, names, skeleton, left and right, and sigmas of the keypoints
    are read from ``categories`` of ``ann_file``, see
    :func:`rmpe_plugin.structures.describe_keypoints`, and what was derived is logged.
    If no category names keypoints, they are COCO's. With ``lazy_init``, the categories
    are read by ``full_init``.

    Args:
        metainfo (dict, optional): Description of the keypoints, which replaces that of
            the file. Other names in the file are logged. Defaults to ``None``.
        kwargs: Arguments of :class:`mmpose.datasets.CocoDataset`. ``ann_file`` and
            ``bbox_file`` must be local files. With ``bbox_file``, ``ann_file`` may have
            no annotations, as COCO's ``image_info_test-dev2017.json``.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a record is not a valid COCO annotation or result, with the file
            and the id; if an image has another size than annotated; if all boxes or
            keypoints are from 0 to 1; if ``metainfo`` is not valid, see
            :func:`rmpe_plugin.structures.parse_metainfo`, or contradicts the number or
            order of the keypoints in ``categories``; if these are not valid; or if no
            person is left.
    """

    def __init__(self, *args, metainfo: dict | None = None, **kwargs) -> None:
        self._has_metainfo = metainfo is not None
        super().__init__(*args, metainfo=metainfo, **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        """Check and parse the description of the keypoints."""
        return parse_metainfo(cls.METAINFO if metainfo is None else metainfo)

    def load_data_list(self) -> list[dict]:
        """Validate the files and load them.

        Returns:
            list[dict]: Input of the pipeline, one for each person.
        """
        path = _require_file(self.ann_file, 'ann_file')
        dataset = self._read_annotations(path)
        if self.bbox_file:
            source, records = self._read_boxes(dataset)
        else:
            source, records = path, dataset['annotations']
        people = super().load_data_list()
        if self.data_mode == 'topdown':
            people = self._drop(source, people, records, dataset['images'])
        _check_sizes(path, dataset['images'], people)
        return people

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Parse an annotation; MMPose keeps people whose keypoints all have v = 0.

        Args:
            raw_data_info (dict): ``raw_ann_info`` and ``raw_img_info``.

        Returns:
            dict | None: Input of the pipeline; ``None`` for a crowd or a person without
            labelled keypoints.
        """
        if self.data_mode == 'topdown' and not is_evaluated(
            raw_data_info['raw_ann_info']
        ):
            return None
        return super().parse_data_info(raw_data_info)

    def _read_annotations(self, path: Path) -> dict:
        """Read and check ``ann_file``."""
        dataset = (read_images if self.bbox_file else read_annotations)(path)
        require_keys(path, 'image', dataset['images'], {'file_name', 'width', 'height'})
        annotations = dataset.get('annotations', [])
        require_images(path, 'annotation', annotations, dataset)
        require_categories(path, dataset)
        self._read_categories(path, dataset)
        num_keypoints = self.metainfo['num_keypoints']
        require_keypoints(path, 'annotation', annotations, num_keypoints)
        if not self.bbox_file:
            _check_counts(path, annotations)
            _check_boxes(path, annotations)
            _check_keypoints(path, annotations)
        return dataset

    def _read_categories(self, path: Path, dataset: dict) -> None:
        """Read the description of the keypoints, or compare it with ``metainfo``."""
        if self._has_metainfo:
            names = [*self.metainfo['keypoint_name2id']]
            for difference in compare_keypoints(path, dataset, names):
                print_log(difference, logger='current', level=logging.WARNING)
            return
        self._metainfo, message = category_metainfo(path, dataset, self.metainfo)
        if message:
            print_log(message, logger='current')

    def _read_boxes(self, dataset: dict) -> tuple[Path, list[dict]]:
        """Read and check ``bbox_file``."""
        path = _require_file(self.bbox_file, 'bbox_file')
        results = read_results(path, {'image_id', 'category_id', 'bbox', 'score'})
        require_images(path, 'result', results, dataset)
        categories = {a['category_id'] for a in dataset.get('annotations', [])}
        if categories and PERSON_CATEGORY not in categories:
            raise ValueError(
                f'{self.ann_file}: with dataset.bbox_file, annotated people must have '
                f'category_id {PERSON_CATEGORY}, got {sorted(categories)[:5]}'
            )
        _check_boxes(path, results)
        return path, results

    def _drop(
        self, path: Path, people: list[dict], records: list[dict], images: list[dict]
    ) -> list[dict]:
        """Drop people that cannot be used, and log the reasons."""
        sizes = {image['id']: (image['width'], image['height']) for image in images}
        # MMPose numbers the people of ``bbox_file``.
        numbers = count()
        used = {person['id'] for person in people}
        dropped: dict[str, list[str]] = {}
        for record in records:
            reason, number = 'of other categories', None
            if not self.bbox_file or record['category_id'] == PERSON_CATEGORY:
                number = next(numbers) if self.bbox_file else record['id']
                reason = self._why_unused(record, sizes[record['image_id']])
            if reason or number not in used:
                reason = reason or 'by num_keypoints of 0 or by sample_interval'
                dropped.setdefault(reason, []).append(_name(record))
                used.discard(number)
        message = f'{path}: {len(used)} of {len(records)} people are used'
        if not used:
            purpose = 'test' if self.test_mode else 'train'
            message += f'; at least one is needed to {purpose}'
        if dropped:
            message += '; dropped are ' + '; '.join(
                f'{len(names)} {reason} ({", ".join(names[:3])}'
                f'{", ..." if len(names) > 3 else ""})'
                for reason, names in dropped.items()
            )
            print_log(message, logger='current')
        if not used:
            raise ValueError(message)
        return [person for person in people if person['id'] in used]

    def _why_unused(self, record: dict, size: Sequence[float]) -> str:
        """Reason to drop a record of an image of size (w, h); empty for none."""
        if record.get('iscrowd'):
            return 'of a crowd'
        if 'bbox' not in record:
            return 'without a box'
        if not self.bbox_file and not is_evaluated(record):
            return 'without labelled keypoints'
        x, y, width, height = record['bbox']
        if width <= 0 or height <= 0:
            return 'with an empty box'
        # MMPose clips annotated boxes to the centres of the last pixels.
        right, bottom = size if self.bbox_file else (size[0] - 1, size[1] - 1)
        if x >= right or y >= bottom or x + width <= 0 or y + height <= 0:
            return 'with a box outside of the image'
        if max(width, height) < _MIN_SIDE:
            return f'with a box below {_MIN_SIDE} x {_MIN_SIDE} pixels'
        return ''


def _require_file(path: str, key: str) -> Path:
    """Return the path if the file exists; ``key`` is its name in the config."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'dataset.{key} {path} does not exist')
    if not is_plain_text(Path(path)):
        raise ValueError(
            f'dataset.{key} {path} must be UTF-8 without a byte order mark and not '
            'compressed, because MMPose reads it too'
        )
    return Path(path)


def _name(record: dict) -> str:
    """How the log names a record."""
    if 'id' in record:
        return f'annotation {record["id"]}'
    return f'result of image {record["image_id"]}'


def _check_counts(path: Path, annotations: list[dict]) -> None:
    """Raise if ``num_keypoints`` is 0, for which MMPose drops people, but v = 2."""
    for annotation in annotations:
        visible = [v for v in annotation.get('keypoints', ())[2::3] if v == 2]
        # CrowdPose counts visible keypoints only.
        if visible and annotation.get('num_keypoints') == 0:
            raise ValueError(
                f'{path}: annotation {annotation["id"]} has num_keypoints 0, but '
                f'{len(visible)} visible keypoints'
            )


def _check_boxes(path: Path, records: list[dict]) -> None:
    """Raise if the boxes of a file are from 0 to 1."""
    records = [record for record in records if 'bbox' in record]
    boxes = np.array([record['bbox'] for record in records], float).reshape(-1, 4)
    if len(boxes) and (boxes[:, 2:] < _MIN_SIDE).all():
        raise ValueError(
            f'{path}: all boxes are below {_MIN_SIDE} x {_MIN_SIDE} pixels; bbox must '
            f'be x, y, width and height in pixels, got {boxes[0].tolist()} '
            f'({_name(records[0])})'
        )


def _check_keypoints(path: Path, annotations: list[dict]) -> None:
    """Raise if the labelled keypoints of a file are from 0 to 1."""
    people = [annotation for annotation in annotations if is_evaluated(annotation)]
    if not people:
        return
    triples = np.concatenate([person['keypoints'] for person in people]).reshape(-1, 3)
    if (triples[triples[:, 2] > 0, :2] <= 1).all():
        raise ValueError(
            f'{path}: all labelled keypoints are from 0 to 1; keypoints must be in '
            f'pixels, got {triples[0].tolist()} ({_name(people[0])})'
        )


def _check_sizes(path: Path, images: list[dict], people: list[dict]) -> None:
    """Raise if an image of a person has another size than annotated."""
    files = {person['img_id']: person['img_path'] for person in people}
    with ThreadPoolExecutor() as pool:
        sizes = dict(zip(files, pool.map(_size_of, files.values()), strict=True))
    for image in images:
        size = sizes.get(image['id'])
        annotated = image['width'], image['height']
        if size is not None and size != annotated:
            rotated = ' (after its rotation by EXIF)' if size == annotated[::-1] else ''
            raise ValueError(
                f'{path}: image {image["id"]} has width and height {annotated}, but '
                f'{files[image["id"]]} is {size[0]} x {size[1]}{rotated}'
            )


def _size_of(path: str) -> tuple[int, int] | None:
    """Width and height of an image; ``None`` if unreadable, which loading reports."""
    try:
        return image_size(Path(path))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
