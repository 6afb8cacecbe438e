# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from mmengine.logging import print_log
from mmpose.datasets.datasets.body import CocoDataset
from mmpose.registry import DATASETS

from rmpe_plugin.ops import valid_boxes
from rmpe_plugin.structures import (
    is_plain_text,
    read_annotations,
    read_results,
    require_images,
    require_keypoints,
    require_keys,
)


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """MMPose's ``CocoDataset`` with validation of its files.

    MMPose raises a bare ``KeyError`` for a missing key, trains on values that are not
    finite, and drops people without logging it. Here each record of ``ann_file`` and
    ``bbox_file`` is validated first, and the number of dropped people is logged.

    Args:
        kwargs: Arguments of :class:`mmpose.datasets.CocoDataset`. ``ann_file`` and
            ``bbox_file`` must be local files.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a record is not a valid COCO annotation or result, with the file
            and the id, or if no person is left.
    """

    def load_data_list(self) -> list[dict]:
        """Validate the files and load them.

        Returns:
            list[dict]: Input of the pipeline, one for each person.
        """
        path, records = self._validate()
        people = super().load_data_list()
        if self.bbox_file:
            # MMPose drops empty boxes of annotations only.
            people = [person for person in people if valid_boxes(person['bbox'][0])]
        used = f'{path}: {len(people)} of {len(records)} people are used'
        if not people:
            purpose = 'test' if self.test_mode else 'train'
            raise ValueError(f'{used}; at least one is needed to {purpose}')
        if len(people) < len(records):
            print_log(
                f'{used}; dropped are crowds, boxes without area in the image, '
                'detections of other categories than 1, and annotations without '
                'labelled keypoints',
                logger='current',
            )
        return people

    def _validate(self) -> tuple[Path, list[dict]]:
        """Validate the files; return the file with the people, and its records."""
        path = _require_file(self.ann_file, 'ann_file')
        dataset = read_annotations(path)
        require_keys(path, 'image', dataset['images'], {'file_name', 'width', 'height'})
        annotations = dataset['annotations']
        require_keys(path, 'annotation', annotations, {'category_id'})
        require_images(path, 'annotation', annotations, dataset)
        num_keypoints = self.metainfo['num_keypoints']
        require_keypoints(path, 'annotation', annotations, num_keypoints)
        if not self.bbox_file:
            return path, annotations
        if 'categories' not in dataset:
            raise ValueError(f'{path} has no categories, which bbox_file needs')
        path = _require_file(self.bbox_file, 'bbox_file')
        results = read_results(path, {'image_id', 'category_id', 'bbox', 'score'})
        require_images(path, 'result', results, dataset)
        return path, results


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
