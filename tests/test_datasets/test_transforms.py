# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmpose.registry import TRANSFORMS

from rmpe_plugin.datasets.transforms import CPNBBoxCenterScale, RawVisibility


def sample(visibility=(2, 1, 0, 2), image_size=(64, 48)):
    """What a COCO data set hands to the pipeline, for four keypoints."""
    width, height = image_size
    rng = np.random.default_rng(0)
    keypoints = rng.uniform((10, 10), (width - 10, height - 10), (1, 4, 2))
    keypoints = keypoints.astype(np.float32)
    visibility = np.array([visibility], dtype=np.float32)
    raw = np.concatenate((keypoints, visibility[..., None]), axis=2)
    return dict(
        id=7,
        img_path='a.jpg',
        img=rng.integers(0, 255, (height, width, 3)).astype(np.uint8),
        img_shape=(height, width),
        bbox=np.array([[8.0, 6.0, 56.0, 42.0]], dtype=np.float32),
        keypoints=keypoints,
        keypoints_visible=np.minimum(visibility, 1),
        raw_ann_info=dict(keypoints=raw.ravel().tolist()),
        flip_indices=[1, 0, 3, 2],
        upper_body_ids=[0, 1],
        lower_body_ids=[2, 3],
        dataset_keypoint_weights=np.ones(4),
    )


def test_crop_grows_the_box_then_its_short_side():
    results = CPNBBoxCenterScale().transform(sample())
    np.testing.assert_allclose(results['bbox_center'], [[32, 24]])
    np.testing.assert_allclose(results['bbox_scale'], [[48 * 1.2, 36 * 1.3]], rtol=1e-6)
    affine = TRANSFORMS.build(dict(type='TopdownAffine', input_size=(192, 256)))
    results = affine.transform(results)
    np.testing.assert_allclose(results['input_scale'], [57.6, 76.8], rtol=1e-6)
    assert results['img'].shape == (256, 192, 3)


@pytest.mark.parametrize(
    'bbox', [[5, 5, 5, 9], [5, 5, 9, 5], [9, 5, 5, 9], [0, 0, np.nan, 4]]
)
def test_box_without_area_names_the_annotation(bbox):
    results = dict(sample(), bbox=np.array([bbox], dtype=np.float32))
    with pytest.raises(ValueError, match='no area.*instance 7 of a.jpg'):
        CPNBBoxCenterScale().transform(results)


@pytest.mark.parametrize('padding', [(1.2,), (0, 1.3), (1.2, 1.3, 1.0)])
def test_wrong_padding(padding):
    with pytest.raises(ValueError, match='padding must be two factors'):
        CPNBBoxCenterScale(padding)


def test_raw_visibility_tells_hidden_from_seen():
    results = RawVisibility().transform(sample())
    pairs = results['keypoints_visible'][0].tolist()
    assert pairs == [[1, 1], [1, 0], [0, 0], [1, 1]]


def pipeline(flip):
    codec = dict(
        type='CPNHeatmap', input_size=(48, 64), heatmap_size=(12, 16), kernel_size=5
    )
    return Compose(
        [
            TRANSFORMS.build(t)
            for t in (
                dict(type='RawVisibility'),
                dict(type='CPNBBoxCenterScale'),
                dict(type='RandomFlip', prob=float(flip)),
                dict(type='RandomHalfBody', min_total_keypoints=1, prob=1.0),
                dict(type='TopdownAffine', input_size=(48, 64)),
                dict(
                    type='GenerateTarget',
                    multilevel=True,
                    encoder=[dict(codec, hidden='empty'), dict(codec, hidden='keep')],
                ),
                dict(type='PackPoseInputs'),
            )
        ]
    )


@pytest.mark.parametrize('flip', [False, True])
def test_visibility_reaches_the_targets_through_flip_and_half_body(flip):
    packed = pipeline(flip)(deepcopy(sample((2, 1, 1, 0))))['data_samples']
    weights = packed.gt_instance_labels.keypoint_weights
    assert weights.shape == (2, 1, 4)
    seen = packed.gt_fields[0].heatmaps.flatten(1).amax(dim=1) > 0
    kept = packed.gt_fields[1].heatmaps.flatten(1).amax(dim=1) > 0
    order = [1, 0, 3, 2] if flip else [0, 1, 2, 3]
    inside = (weights[1, 0] > 0).tolist()
    assert weights[0, 0].tolist() == [1] * 4
    assert kept.tolist() == inside
    assert not inside[order[3]]
    assert seen.tolist() == [i == order[0] and inside[i] for i in range(4)]
    assert inside[order[0]]


def test_raw_visibility_errors_name_the_culprit():
    broken = sample()
    broken['raw_ann_info']['keypoints'][4] = float('nan')
    with pytest.raises(ValueError, match=r'annotation 7 of a.jpg: keypoints \[1\]'):
        RawVisibility().transform(broken)
    with pytest.raises(ValueError, match='before RandomFlip'):
        RawVisibility().transform(dict(sample(), flip=False))
    with pytest.raises(ValueError, match='no raw_ann_info'):
        RawVisibility().transform(dict(sample(), raw_ann_info=None))
    with pytest.raises(ValueError, match='4 keypoints, the pipeline 3'):
        RawVisibility().transform(dict(sample(), keypoints=np.zeros((1, 3, 2))))


def test_unlabelled_keypoints_may_be_nan():
    results = sample()
    results['raw_ann_info']['keypoints'][6] = float('nan')
    assert RawVisibility().transform(results)['keypoints_visible'][0, 2].sum() == 0


def test_unreadable_image_names_the_file(tmp_path):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(b'not an image')
    load = TRANSFORMS.build(dict(type='LoadImage'))
    with pytest.raises(Exception, match='broken.jpg'):
        load(dict(img_path=str(path)))
