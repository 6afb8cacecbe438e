# SPDX-License-Identifier: Apache-2.0
"""A small data set with one example of each type of error."""

import json

import cv2
import numpy as np
import pytest

NAMES = ('head', 'left_hand', 'right_hand', 'left_foot', 'right_foot')
META = dict(
    num_keypoints=5,
    sigmas=np.full(5, 0.1),
    keypoint_id2name=dict(enumerate(NAMES)),
    skeleton_links=[(0, 1), (0, 2), (0, 3), (0, 4)],
)
POSE = np.array([[50.0, 10], [10, 50], [90, 50], [30, 110], [70, 110]])


def person(annotation_id, image_id, corner, visibility=2, scale=1.0):
    """Annotation of a person."""
    keypoints = POSE * scale + corner
    low, size = keypoints.min(axis=0), np.ptp(keypoints, axis=0)
    flags = np.broadcast_to(visibility, 5)
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=1,
        iscrowd=0,
        bbox=[*low.tolist(), *size.tolist()],
        area=float(size.prod()) / 2,
        num_keypoints=int((flags > 0).sum()),
        keypoints=np.column_stack((keypoints, flags)).ravel().tolist(),
        head_box=[0, 0, 30, 40],
    )


def result(image_id, keypoints, score):
    """Prediction of a person."""
    triples = np.column_stack((keypoints, np.full(5, 0.8)))
    low, size = keypoints.min(axis=0), np.ptp(keypoints, axis=0)
    return dict(
        image_id=image_id,
        category_id=1,
        keypoints=triples.ravel().tolist(),
        bbox=[*low.tolist(), *size.tolist()],
        score=score,
    )


def scene():
    """Annotations and predictions of two images.

    Image 1: two people; one with an inversion, a swap and a miss, and a better
    duplicate; one with a jitter. Image 2: a missed person and a background prediction.
    """
    annotations = dict(
        images=[
            dict(id=i, file_name=f'{i:06d}.png', width=400, height=240) for i in (1, 2)
        ],
        annotations=[
            person(1, 1, (20, 20)),
            person(2, 1, (240, 20), visibility=[2, 2, 1, 0, 2]),
            person(3, 2, (20, 20), scale=0.2),
        ],
        categories=[dict(id=1, name='person')],
    )
    first, second = POSE + (20, 20), POSE + (240, 20)
    wrong = first.copy()
    wrong[1] = first[2]  # inversion
    wrong[2] = second[1]  # swap
    wrong[3] = (150, 230)  # miss
    jitter = second.copy()
    jitter[0] += (13, 0)
    predictions = [
        result(1, wrong, 0.9),
        result(1, first, 0.5),
        result(1, jitter, 0.8),
        result(2, POSE + (200, 100), 0.7),
    ]
    return annotations, predictions


@pytest.fixture(scope='session')
def files(tmp_path_factory):
    """Annotations, predictions, a second model's predictions and images."""
    folder = tmp_path_factory.mktemp('diagnosis')
    annotations, predictions = scene()
    better = [dict(r) for r in predictions]
    better[0] = result(1, POSE + (21, 20), 0.9)
    contents = dict(ann=annotations, pred=predictions, pred2=better)
    for name, content in contents.items():
        (folder / f'{name}.json').write_text(json.dumps(content))
    (folder / 'images').mkdir()
    for i in (1, 2):
        image = np.full((240, 400, 3), 60 * i, np.uint8)
        cv2.imwrite(str(folder / 'images' / f'{i:06d}.png'), image)
    return folder
