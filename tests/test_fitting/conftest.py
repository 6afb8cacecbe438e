# SPDX-License-Identifier: Apache-2.0
import pytest

from rmpe_plugin.datasets.synthetic import write_split

from .factories import write_detections, write_predictions


@pytest.fixture(scope='session')
def detected_crowd(tmp_path_factory):
    """Annotations and simulated detections of 50 images."""
    return write_detections(tmp_path_factory.mktemp('detected_crowd'), 50)


@pytest.fixture(scope='session')
def predicted_crowd(tmp_path_factory):
    """Predictions of 12 images with each person three times, annotations, and AP."""
    root = tmp_path_factory.mktemp('predicted_crowd')
    write_split(root, 'val', 12, (320, 240), 'crowd', seed=0)
    ann = root / 'annotations' / 'person_keypoints_val.json'
    pred, ap = write_predictions(ann, root / 'val')
    return pred, ann, ap
