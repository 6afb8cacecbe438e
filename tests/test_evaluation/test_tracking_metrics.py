# SPDX-License-Identifier: Apache-2.0
import json
import sys

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS

from rmpe_plugin.evaluation.functional.tracking import (
    TrackedVideo,
    combine_videos,
    video_metrics,
)

COCO = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
FRAMES = 6
# Standing people at x = 100 and x = 300, 100 pixels high.
POSE = np.column_stack((10 * np.cos(np.arange(17)), np.linspace(-50, 50, 17)))
PLACES = {1: 100.0, 2: 300.0}


def pose_of(track, frame):
    return POSE + [PLACES[track] + 2 * frame, 100]


def annotation(index, frame, track):
    keypoints = np.column_stack((pose_of(track, frame), np.full(17, 2)))
    return dict(
        id=index,
        image_id=frame + 1,
        track_id=track,
        category_id=1,
        bbox=[PLACES[track] + 2 * frame - 12, 48.0, 24.0, 104.0],
        head_box=[0.0, 0.0, 30.0, 40.0],  # 0.6 times the diagonal is 30
        area=2000.0,
        keypoints=keypoints.ravel().tolist(),
        num_keypoints=17,
        iscrowd=0,
    )


@pytest.fixture
def content():
    people = [(frame, track) for frame in range(FRAMES) for track in PLACES]
    return dict(
        videos=[dict(id=1, name='clip')],
        images=[dict(id=f + 1, video_id=1, frame_id=f) for f in range(FRAMES)],
        annotations=[annotation(i, *person) for i, person in enumerate(people, 1)],
    )


@pytest.fixture
def build(content, tmp_path):
    """A function that builds a metric for the annotations."""

    def build(kind, **settings):
        path = tmp_path / 'tracks.json'
        path.write_text(json.dumps(content))
        metric = METRICS.build(dict(type=kind, ann_file=str(path), **settings))
        metric.dataset_meta = COCO
        return metric

    return build


def samples(ids=lambda frame, track: track, offset=0.0):
    """Outputs of a top-down model, one for each person."""
    for frame in range(FRAMES):
        for track in PLACES:
            keypoints = pose_of(track, frame)[None] + [offset, 0]
            poses = dict(
                keypoints=keypoints,
                keypoint_scores=np.full((1, 17), 0.9),
                bboxes=np.concatenate(
                    (keypoints.min(axis=1) - 2, keypoints.max(axis=1) + 2), axis=1
                ),
                bbox_scores=np.full(1, 0.9),
            )
            if ids is not None:
                poses['track_ids'] = np.array([ids(frame, track)])
            yield dict(img_id=frame + 1, pred_instances=poses)


def evaluate(metric, outputs):
    metric.process([], [*outputs])
    return metric.compute_metrics(metric.results)


def swapped(frame, track):
    """Ids that are exchanged in the second half."""
    return track if frame < FRAMES // 2 else 3 - track


@pytest.fixture
def trackers():
    return pytest.importorskip('trackers')


def iou(a, b):
    """IoU (G, P) of boxes x, y, width, height."""
    low = np.maximum(a[:, None, :2], b[:, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], b[:, :2] + b[:, 2:])
    shared = (high - low).clip(0).prod(axis=-1)
    return shared / (a[:, 2:].prod(-1)[:, None] + b[:, 2:].prod(-1) - shared)


def split(values, frames, numbers):
    """Values of each frame."""
    return [values[frames == number] for number in numbers]


@pytest.mark.parametrize(
    'name, expected',
    [
        ('TUD-Campus', dict(HOTA=0.391397, MOTA=0.526462, IDF1=0.557659, IDSW=7)),
        ('TUD-Stadtmitte', dict(HOTA=0.397849, MOTA=0.564014, IDF1=0.644619, IDSW=7)),
    ],
)
def test_known_sequences(trackers, golden, name, expected):
    with np.load(golden / 'tracking.npz') as file:
        gt, test = file[f'{name}_gt'], file[f'{name}_test']
    numbers = np.arange(1, max(gt[:, 0].max(), test[:, 0].max()) + 1)
    gt, test = (split(rows, rows[:, 0], numbers) for rows in (gt, test))
    video = TrackedVideo(
        [rows[:, 1].astype(int) for rows in gt],
        [rows[:, 1].astype(int) for rows in test],
        [iou(a[:, 2:], b[:, 2:]) for a, b in zip(gt, test, strict=True)],
    )
    metrics = combine_videos([video_metrics(video)])
    for key, value in expected.items():
        assert metrics[key] == pytest.approx(value, abs=1e-6)


def test_random_matrices_equal_trackeval(trackers, golden):
    with np.load(golden / 'tracking.npz') as file:
        data = {key: file[key] for key in file if key.startswith('random')}
    similarity, start = data['random_similarity'], 0
    counts = []
    for i in range(4):
        numbers = range(100 * i, 100 * i + 25)
        gt_ids = split(data['random_gt_ids'], data['random_gt_frame'], numbers)
        ids = split(data['random_ids'], data['random_frame'], numbers)
        matrices = []
        for a, b in zip(gt_ids, ids, strict=True):
            end = start + len(a) * len(b)
            matrices.append(similarity[start:end].reshape(len(a), len(b)))
            start = end
        counts.append(video_metrics(TrackedVideo(gt_ids, ids, matrices)))
    names = ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1', 'IDSW')
    groups = [*([one] for one in counts), counts]
    for group, expected in zip(groups, data['random_metrics'], strict=True):
        metrics = combine_videos(group)
        assert [metrics[name] for name in names] == pytest.approx(expected, abs=1e-9)


def test_raises_without_videos(trackers):
    with pytest.raises(ValueError, match='videos must not be empty'):
        combine_videos([])


def test_equal_tracks_are_perfect(trackers, build):
    metrics = evaluate(build('PoseTrackingMetric'), samples())
    assert metrics['IDSW'] == 0
    for name in ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1'):
        assert metrics[name] == pytest.approx(1)


def test_exchanged_ids_are_switches(trackers, build):
    metrics = evaluate(build('PoseTrackingMetric'), samples(swapped))
    assert metrics['IDSW'] == 2
    assert metrics['DetA'] == pytest.approx(1)
    assert metrics['IDF1'] == pytest.approx(0.5)
    assert metrics['MOTA'] == pytest.approx(1 - 2 / 12)


def test_similarity_is_oks_or_pckh(trackers, build):
    # 20 pixels are more than half of the head size, 15, and less than it.
    far = build('PoseTrackingMetric', similarity='pckh')
    assert evaluate(far, samples(offset=20))['DetA'] == 0
    near = build('PoseTrackingMetric', similarity='pckh')
    assert evaluate(near, samples(offset=14))['DetA'] == pytest.approx(1)
    oks = build('PoseTrackingMetric')
    assert 0 < evaluate(oks, samples(offset=3))['DetA'] < 1


def test_threshold_is_that_of_clear(trackers, build):
    outputs = [*samples(offset=6)]
    strict = evaluate(build('PoseTrackingMetric', threshold=0.9), outputs)
    loose = evaluate(build('PoseTrackingMetric', threshold=0.1), outputs)
    assert strict['MOTA'] == -1 and loose['MOTA'] == 1
    assert strict['HOTA'] == loose['HOTA']


def test_reference_can_be_named(trackers, build, content):
    for person in content['annotations']:
        person['bbox_head'] = [0.0, 0.0, 3.0, 4.0]
    metric = build('PoseTrackingMetric', similarity='pckh', reference='bbox_head')
    assert evaluate(metric, samples(offset=14))['DetA'] == 0


@pytest.mark.parametrize('kind', ['PoseTrackingMetric', 'JointMOTA'])
def test_tracker_gives_the_ids(trackers, build, kind):
    metrics = evaluate(build(kind, tracker=dict(type='PoseTracker')), samples(ids=None))
    assert metrics['IDSW'] == 0
    assert metrics['MOTA'] in (1, 100)


@pytest.mark.parametrize('kind', ['PoseTrackingMetric', 'JointMOTA'])
def test_pose_nms_removes_duplicates_before_tracking(trackers, build, kind):
    def twice():
        for sample in samples():
            yield sample
            pose = sample['pred_instances']
            copy = dict(pose, track_ids=pose['track_ids'] + 10)
            copy['keypoint_scores'] = pose['keypoint_scores'] / 2
            yield dict(sample, pred_instances=copy)

    assert evaluate(build(kind), twice())['MOTA'] == 0
    metrics = evaluate(build(kind, pose_nms='alphapose-coco'), twice())
    assert metrics['MOTA'] in (1, 100)


@pytest.mark.parametrize('kind', ['PoseTrackingMetric', 'JointMOTA'])
def test_poses_without_a_track_are_not_evaluated(trackers, build, kind):
    metrics = evaluate(
        build(kind), samples(lambda frame, track: track if frame else -1)
    )
    assert metrics['MOTA'] / (100 if kind == 'JointMOTA' else 1) == pytest.approx(
        1 - 1 / FRAMES
    )


def test_unlabelled_images_are_tracked_but_not_evaluated(build, content):
    content['images'][2]['is_labeled'] = False
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] != 3]
    metrics = evaluate(build('JointMOTA'), samples(swapped))
    assert metrics['MOTA'] == pytest.approx(100 * (1 - 2 / 10))


def test_crowds_are_not_evaluated(build, content):
    for person in content['annotations']:
        person['iscrowd'] = int(person['track_id'] == 2)
    outputs = [s for i, s in enumerate(samples()) if i % 2 == 0]
    assert evaluate(build('JointMOTA'), outputs)['MOTA'] == 100


def test_mota_of_joints(build):
    outputs = [*samples(swapped)]
    metrics = evaluate(build('JointMOTA'), outputs)
    assert 'left_ear' not in metrics and len(metrics) == 2 + 15
    assert metrics['IDSW'] == 2 * 15
    expected = pytest.approx(100 * (1 - 2 / 12))
    assert metrics['nose'] == expected and metrics['MOTA'] == expected
    for sample in outputs:
        sample['pred_instances']['keypoint_scores'][:, 0] = 0.1
        sample['pred_instances']['keypoints'][:, 10] += 16
    metrics = evaluate(build('JointMOTA'), outputs)
    # Not predicted, and too far away
    assert metrics['nose'] == 0 and metrics['right_wrist'] == -100
    assert metrics['left_wrist'] == expected
    metrics = evaluate(build('JointMOTA', keypoint_score_thr=0.05), outputs)
    assert metrics['nose'] == expected


def test_images_without_predictions_are_misses(build):
    outputs = [s for s in samples() if s['img_id'] > 3]
    assert evaluate(build('JointMOTA'), outputs)['MOTA'] == pytest.approx(50)
    assert evaluate(build('JointMOTA'), [])['MOTA'] == 0


@pytest.mark.parametrize('name', ['{image}', 'clip/{frame}'])
def test_evaluates_results_of_predict(build, tmp_path, name):
    records = []
    for sample in samples():
        pose, number = sample['pred_instances'], sample['img_id']
        image_id = name.format(image=number, frame=number - 1)
        keypoints = np.dstack((pose['keypoints'], pose['keypoint_scores']))
        records.append(
            dict(
                image_id=int(image_id) if image_id.isdecimal() else image_id,
                keypoints=keypoints.ravel().tolist(),
                bbox=[0.0, 0.0, 9.0, 9.0],
                score=0.9,
                track_id=int(pose['track_ids'][0]),
            )
        )
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(records))
    assert build('JointMOTA').evaluate_file(path)['MOTA'] == 100
    # People without a track
    for record in records[:3]:
        del record['track_id']
    path.write_text(json.dumps(records))
    assert build('JointMOTA').evaluate_file(path)['MOTA'] == pytest.approx(75)
    records[0]['image_id'] = 'other/0'
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match="image 'other/0' is not among the 1 videos"):
        build('JointMOTA').evaluate_file(path)


def test_raises_on_results_that_are_not_tracked(build, tmp_path):
    path = tmp_path / 'results.json'
    keypoints = [0.0] * 51
    record = dict(image_id=1, keypoints=keypoints, bbox=[0, 0, 9, 9], score=0.9)
    path.write_text(json.dumps([record]))
    with pytest.raises(ValueError, match='no result has a track_id'):
        build('JointMOTA').evaluate_file(path)


def test_raises_without_ids_and_on_repeated_ids(build):
    with pytest.raises(ValueError, match='image 1 have no track_ids: .*PoseTracker'):
        evaluate(build('JointMOTA'), samples(ids=None))
    with pytest.raises(ValueError, match='two predictions of image 1 .* track id 7'):
        evaluate(build('JointMOTA'), samples(lambda frame, track: 7))


def test_raises_on_an_unknown_similarity(trackers, build):
    with pytest.raises(ValueError, match=r"evaluator.similarity .* got 'iou'"):
        build('PoseTrackingMetric', similarity='iou')


def test_missing_package_names_the_extra(build, monkeypatch):
    monkeypatch.setitem(sys.modules, 'trackers', None)
    with pytest.raises(ModuleNotFoundError, match=r"'rmpe_plugin\[track\]'"):
        build('PoseTrackingMetric')


def test_poses_can_be_evaluated_directly(build):
    poses = {}
    for sample in samples():
        part = InstanceData(**sample['pred_instances'])
        known = poses.get(sample['img_id'])
        poses[sample['img_id']] = InstanceData.cat([known, part]) if known else part
    assert build('JointMOTA').evaluate_poses(poses)['MOTA'] == 100
