# SPDX-License-Identifier: Apache-2.0
"""Training on several data sets equals training on each one."""

import json

import numpy as np
import pytest
from mmpose.registry import DATASETS
from PIL import Image

COCO = dict(from_file='configs/_base_/datasets/coco.py')
# COCO's keypoints without nose and eyes.
FEW = dict(
    dataset_name='few', joint_weights=[1.0] * 14, sigmas=[0.05] * 14, skeleton_info={},
    keypoint_info={i: dict(name=f'p{i}', id=i, swap=f'p{i ^ 1}') for i in range(14)},
)  # fmt: skip
MAPPING = [(i, i + 3) for i in range(14)]
RAW = dict(type='RawVisibility')
CODEC = dict(
    type='CPNHeatmap', input_size=(96, 128), heatmap_size=(24, 32), separable=True
)


def write(folder, number, visibility):
    """Annotations of a person with these keypoints, and its image."""
    Image.new('RGB', (200, 200)).save(folder / '1.jpg')
    keypoints = [
        n
        for i in range(number)
        for n in (60.3 + 5.17 * i, 65.2 + 4.13 * i, visibility[i])
    ]
    content = dict(
        images=[dict(id=1, file_name='1.jpg', width=200, height=200)],
        annotations=[
            dict(id=1, image_id=1, category_id=1, bbox=[40, 40, 120, 120],
                 keypoints=keypoints)
        ],
        categories=[dict(id=1, name='person')],
    )  # fmt: skip
    path = folder / f'{number}.json'
    path.write_text(json.dumps(content))
    return str(path)


def pipeline(flip):
    """The transforms of a CPN after those of each data set."""
    return [
        dict(type='LoadIntactImage'),
        dict(type='CPNBBoxCenterScale'),
        dict(type='RandomFlip', prob=float(flip)),
        dict(type='TopdownAffine', input_size=(96, 128)),
        dict(
            type='GenerateTarget',
            multilevel=True,
            encoder=[
                dict(CODEC, kernel_size=9, occluded='empty'),
                dict(CODEC, kernel_size=7),
            ],
        ),
        dict(type='PackPoseInputs'),
    ]


def labels(dataset, index=0):
    """Weights (levels, K) and targets (levels, K, H + W) of a person."""
    found = dataset[index]['data_samples'].gt_instance_labels
    targets = np.concatenate((found.target_rows, found.target_columns), axis=-1)
    return found.keypoint_weights[:, 0].numpy(), targets[:, 0]


@pytest.fixture
def build(tmp_path):
    """Function that builds a data set of COCO's or of the few keypoints."""

    def build_set(metainfo, visibility, transforms):
        return dict(
            type='CheckedCocoDataset',
            ann_file=write(tmp_path, len(visibility), visibility),
            data_prefix=dict(img=str(tmp_path)),
            metainfo=metainfo,
            pipeline=transforms,
        )

    return build_set


FEW_VISIBILITY = [2, 1, 0, 2, 1, 1, 2, 0, 2, 1, 2, 2, 1, 2]
COCO_VISIBILITY = [2, 1, 0, *FEW_VISIBILITY]


def combine(build, flip=False, mapping=MAPPING, first=(RAW,)):
    """COCO and the few keypoints in one data set."""
    convert = dict(type='KeypointConverter', num_keypoints=17, mapping=mapping)
    return DATASETS.build(
        dict(
            type='CombinedDataset',
            metainfo=COCO,
            datasets=[
                build(COCO, COCO_VISIBILITY, [RAW]),
                build(FEW, FEW_VISIBILITY, [*first, convert]),
            ],
            pipeline=pipeline(flip),
        )
    )


@pytest.mark.parametrize('flip', [pytest.param(False, marks=pytest.mark.slow), True])
def test_targets_equal_those_of_each_set(build, flip):
    both = combine(build, flip)
    coco = DATASETS.build(build(COCO, COCO_VISIBILITY, [RAW, *pipeline(flip)]))
    for found, expected in zip(labels(both), labels(coco), strict=True):
        np.testing.assert_array_equal(found, expected)

    few = DATASETS.build(build(FEW, FEW_VISIBILITY, [RAW, *pipeline(flip)]))
    for found, expected in zip(labels(both, 1), labels(few), strict=True):
        np.testing.assert_array_equal(found[:, 3:], expected)
    weights, targets = labels(both, 1)
    assert (weights[:, :3] == 0).all()
    # At GlobalNet's level, occluded and unlabelled keypoints are learnt as empty.
    order = [i ^ 1 for i in range(14)] if flip else range(14)
    drawn = (targets[:, 3:, :32].max(axis=-1) > 0).tolist()
    assert drawn[0] == [FEW_VISIBILITY[i] == 2 for i in order]
    assert drawn[1] == [FEW_VISIBILITY[i] > 0 for i in order]
    assert (weights[0, 3:] == 1).all()
    assert weights[1, 3:].tolist() == drawn[1]


def test_a_keypoint_between_two_is_visible_if_one_of_them_is(build):
    # With a pair, KeypointConverter multiplies all keypoints by themselves.
    pairs = {0: (0, 1), 1: (1, 4), 2: (0, 2)}  # v of 2 and 1; 1 and 1; 2 and 0
    # MMPose allows no more pairs than the set has keypoints.
    mapping = [*((pair, target) for target, pair in pairs.items()), *MAPPING[3:]]
    weights, targets = labels(combine(build, mapping=mapping), 1)
    drawn = (targets[..., :32].max(axis=-1) > 0).tolist()
    others = FEW_VISIBILITY[3:]
    no = [False] * 3
    assert drawn[0] == [True, False, False, *no, *(v == 2 for v in others)]
    assert drawn[1] == [True, True, False, *no, *(v > 0 for v in others)]
    assert weights[0].tolist() == [1] * 3 + [0] * 3 + [1] * 11


def test_raises_without_the_visibility_of_a_set(build):
    with pytest.raises(ValueError, match='RawVisibility.*and KeypointConverter'):
        labels(combine(build, first=()), 1)
