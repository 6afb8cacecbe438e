# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS

META = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
SIGMAS = META['sigmas']
# Network input of 96x128, a crop of 192x256 pixels around (100, 140) of the image.
INPUT = dict(
    input_size=(96, 128), input_scale=(192.0, 256.0), input_center=(100.0, 140.0)
)


def person(rng, image, index, noise=3.0, number=17):
    """Create an output of the model, with its annotation."""
    joints = rng.uniform((20, 20), (180, 260), (number, 2))
    visibility = rng.integers(0, 3, number)
    refine = joints + rng.normal(0, noise, (number, 2))
    in_image = joints + rng.normal(0, 2 * noise, (number, 2))
    in_input = (in_image - (4, 12)) / 2
    corner = rng.uniform(0, 60, 2)
    return dict(
        **INPUT,
        raw_ann_info=dict(
            id=index,
            image_id=image,
            keypoints=np.column_stack((joints, visibility)).ravel().tolist(),
            area=float(rng.uniform(3000, 20000)),
            bbox=[*corner, 100.0, 160.0],
        ),
        pred_instances=dict(
            keypoints=refine[None],
            global_keypoints=in_input[None],
        ),
        in_image=in_image,
    )


def slow_accuracy(sample, keypoints):
    """Accuracy of each labelled keypoint of a person, by joint and visibility."""
    annotation = sample['raw_ann_info']
    joints = np.reshape(annotation['keypoints'], (17, 3))
    accuracies = {}
    for k, (x, y, v) in enumerate(joints):
        if v > 0:
            squared = (keypoints[k][0] - x) ** 2 + (keypoints[k][1] - y) ** 2
            oks = np.exp(-squared / (8 * annotation['area'] * SIGMAS[k] ** 2))
            steps = [oks >= 0.5 + 0.05 * i for i in range(10)]
            accuracies[k, int(v)] = np.mean(steps)
    return accuracies


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [person(rng, image=i // 3, index=i) for i in range(20)]


def build(**kwargs):
    metric = METRICS.build(dict(type='HardKeypointMetric', **kwargs))
    metric.dataset_meta = META
    return metric


def test_equals_loop_over_keypoints(samples):
    metric = build()
    metric.process([], samples[:7])
    metric.process([], samples[7:])
    metrics = metric.evaluate(size=len(samples))
    for stage in ('global', 'refine'):
        people = [
            slow_accuracy(
                s,
                s['in_image']
                if stage == 'global'
                else s['pred_instances']['keypoints'][0],
            )
            for s in samples
        ]
        values = [v for person in people for v in person.values()]
        assert metrics[f'hard/{stage}'] == pytest.approx(np.mean(values))
        for k in (0, 9, 16):
            values = [v for one in people for (j, _), v in one.items() if j == k]
            name = META['keypoint_id2name'][k]
            assert metrics[f'hard/{stage}_{name}'] == pytest.approx(np.mean(values))
        for v, name in ((2, 'visible'), (1, 'occluded')):
            values = [a for one in people for (_, u), a in one.items() if u == v]
            assert metrics[f'hard/{stage}_{name}'] == pytest.approx(np.mean(values))
    assert metrics['hard/gain'] == pytest.approx(
        metrics['hard/refine'] - metrics['hard/global']
    )
    assert metrics['hard/gain'] > 0.05


def test_levels_of_crowding():
    rng = np.random.default_rng(1)
    single, first, second = (person(rng, image=min(i, 1), index=i) for i in range(3))
    # Two people in the same place: half of the keypoints in each box are the other's.
    second['raw_ann_info'].update(
        {k: first['raw_ann_info'][k] for k in ('keypoints', 'bbox')}
    )
    metric = build()
    metric.process([], [single, first, second])
    metrics = metric.evaluate(size=3)
    mean = np.mean([*slow_accuracy(single, single['in_image']).values()])
    assert metrics['hard/global_easy'] == pytest.approx(mean)
    assert 'hard/global_hard' in metrics
    assert 'hard/global_medium' not in metrics


def test_people_that_a_sampler_repeats_count_once(samples):
    repeated = build()
    repeated.process([], [*samples, *samples[:4]])
    once = build()
    once.process([], samples)
    assert repeated.evaluate(size=24) == once.evaluate(size=20)


def test_writes_a_chart(samples, tmp_path):
    metric = build(out_dir=str(tmp_path / 'new'))
    metric.process([], samples)
    metric.evaluate(size=len(samples))
    chart = cv2.imread(str(tmp_path / 'new' / 'hard_keypoints.png'))
    assert chart is not None
    assert chart.std() > 10


def test_raises_on_missing_annotation_or_stage(samples):
    sample = samples[0]
    with pytest.raises(ValueError, match='test_dataloader.dataset.bbox_file=None'):
        build().process([], [dict(sample, raw_ann_info=None)])
    del sample['pred_instances']['global_keypoints']
    with pytest.raises(ValueError, match='model.test_cfg.output_global=True'):
        build().process([], [sample])


def test_crowdpose_joints_without_areas():
    metric = build()
    metric.dataset_meta = parse_pose_metainfo(
        dict(from_file='configs/_base_/datasets/crowdpose.py')
    )
    rng = np.random.default_rng(2)
    samples = [person(rng, image=i, index=i, number=14) for i in range(5)]
    with_area = [dict(s, raw_ann_info=dict(s['raw_ann_info'])) for s in samples]
    for sample in with_area:
        sample['raw_ann_info']['area'] = 0.53 * 100.0 * 160.0
    for sample in samples:
        del sample['raw_ann_info']['area']
    metric.process([], samples)
    metrics = metric.evaluate(size=5)
    assert 'hard/gain_top_head' in metrics
    metric.process([], with_area)
    assert metric.evaluate(size=5) == metrics


def test_raises_without_labelled_keypoints():
    sample = person(np.random.default_rng(3), image=0, index=0)
    joints = np.reshape(sample['raw_ann_info']['keypoints'], (17, 3))
    joints[:, 2] = 0
    sample['raw_ann_info']['keypoints'] = joints.ravel().tolist()
    metric = build()
    metric.process([], [sample])
    with pytest.raises(ValueError, match='no person has labelled keypoints'):
        metric.evaluate(size=1)
