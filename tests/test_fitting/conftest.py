# SPDX-License-Identifier: Apache-2.0
import pytest

from rmpe_plugin.datasets.synthetic import write_split

from .factories import write_predictions


@pytest.fixture(scope='session')
def detected_crowd(tmp_path_factory):
    """Annotations and simulated detections of 400 images."""
    root = tmp_path_factory.mktemp('detected_crowd')
    write_split(root, 'train', 400, (320, 240), 'crowd', seed=0)
    folder = root / 'annotations'
    return (
        folder / 'person_keypoints_train.json',
        folder / 'person_detections_train.json',
    )


@pytest.fixture(scope='session')
def predicted_crowd(tmp_path_factory):
    """Predictions of 12 images with each person three times, annotations, and AP."""
    root = tmp_path_factory.mktemp('predicted_crowd')
    write_split(root, 'val', 12, (320, 240), 'crowd', seed=0)
    ann = root / 'annotations' / 'person_keypoints_val.json'
    pred, ap = write_predictions(ann, root / 'val')
    return pred, ann, ap
