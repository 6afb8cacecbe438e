# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.datasets.body import CocoDataset
from mmpose.registry import DATASETS

from rmpe_plugin.utils.coco_files import (
    read_annotations,
    read_results,
    require_images,
    require_keypoints,
    require_keys,
)


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """MMPose's COCO data set, which says what is wrong with its files.

    MMPose's own reads damaged files as far as they go: a missing key is a bare
    ``KeyError``, not-a-number is trained on, and nobody hears of what is left out. Here
    the records of ``ann_file`` and ``bbox_file`` are checked first, and the log says
    how many are used.

    Args:
        kwargs: As :class:`mmpose.datasets.CocoDataset`'s; ``ann_file`` and
            ``bbox_file`` are local files.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a record is no annotation or detection of COCO, with its file and
            id; or if nobody is left.
    """

    def load_data_list(self) -> list[dict]:
        """Check the files, then load them as MMPose does.

        Returns:
            list[dict]: What the pipeline takes, one a person.
        """
        path, records = self._check()
        people = super().load_data_list()
        if self.bbox_file:
            # MMPose asks this of true boxes only.
            people = [person for person in people if _has_area(person['bbox'][0])]
        used = f'{path}: {len(people)} of {len(records)} people are used'
        if not people:
            purpose = 'test' if self.test_mode else 'train'
            raise ValueError(f'{used}: there is nobody to {purpose} on')
        if len(people) < len(records):
            print_log(
                f'{used}; left out are crowds, those whose box has no area in the '
                'image, other categories than 1 among detections, and people without '
                'labelled keypoints among annotations',
                logger='current',
            )
        return people

    def _check(self) -> tuple[Path, list[dict]]:
        """Check the files; the one that people are taken from, and its records."""
        path = _existing(self.ann_file, 'ann_file')
        truth = read_annotations(path)
        require_keys(path, 'image', truth['images'], {'file_name', 'width', 'height'})
        people = truth['annotations']
        require_keys(path, 'annotation', people, {'category_id'})
        require_images(path, 'annotation', people, truth)
        require_keypoints(path, 'annotation', people, self.metainfo['num_keypoints'])
        if not self.bbox_file:
            return path, people
        if 'categories' not in truth:
            raise ValueError(f'{path} has no categories, which bbox_file needs')
        path = _existing(self.bbox_file, 'bbox_file')
        people = read_results(path, {'image_id', 'category_id', 'bbox', 'score'})
        require_images(path, 'result', people, truth)
        return path, people


def _existing(path: str, key: str) -> Path:
    """A path, if there is a file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'dataset.{key} {path} does not exist')
    return Path(path)


def _has_area(bbox: np.ndarray) -> bool:
    """Whether a box (4,), xyxy, has an area."""
    return bool((bbox[2:] > bbox[:2]).all())
