# SPDX-License-Identifier: Apache-2.0
"""From results to files for lifting, on the command line."""

import json
import os
import pickle
import re

import numpy as np
import pytest
from mmpose.datasets.datasets import Human36mDataset

from rmpe_plugin.apis import Frames
from rmpe_plugin.datasets.synthetic import write_videos
from rmpe_plugin.lifting import annotated_clips, coco_to_h36m
from tests.conftest import DATA, run_command

BOX = [10, 20, 30, 60]


def record(image_id, seed, score=0.9, bbox=BOX):
    rng = np.random.default_rng(seed)
    keypoints = np.column_stack((rng.uniform(0, 120, (17, 2)), rng.uniform(0, 1, 17)))
    return dict(
        image_id=image_id,
        category_id=1,
        keypoints=keypoints.ravel().tolist(),
        bbox=bbox,
        score=score,
    )


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Synthetic videos of four frames, their annotations, and results."""
    root = tmp_path_factory.mktemp('videos')
    write_videos(root, dict(train=2), 4, (160, 120))
    run_command(
        'convert h36m',
        root / 'annotation_body3d/h36m_train.npz',
        root / 'annotation_body3d/cameras.pkl',
        '--out', root / 'train.json',
    )  # fmt: skip
    return root


def write_results(path, records):
    path.write_text(json.dumps(records))
    return path


def keypoints_of(record):
    return np.reshape(record['keypoints'], (17, 3)).astype(np.float32)


def test_converted_annotations(data):
    dataset = json.loads((data / 'train.json').read_text())
    with np.load(data / 'annotation_body3d/h36m_train.npz') as arrays:
        part, names = arrays['part'], arrays['imgname']
    assert [image['file_name'] for image in dataset['images']] == [*names]
    assert [image['id'] for image in dataset['images']] == [*range(1, 9)]
    assert dataset['images'][0]['width'] == 160
    names = dataset['categories'][0]['keypoints']
    assert names[:2] + names[4:5] == ['root', 'right_hip', 'left_hip']
    for annotation, joints in zip(dataset['annotations'], part, strict=True):
        keypoints = np.reshape(annotation['keypoints'], (17, 3))
        np.testing.assert_allclose(keypoints[:, :2], joints[:, :2], atol=0.01)
        assert (keypoints[:, 2] == 2).all()
        x, y, w, h = annotation['bbox']
        low, high = joints[:, :2].min(axis=0), joints[:, :2].max(axis=0)
        margin = 0.1 * (high - low).max()
        np.testing.assert_allclose([x, y], low - margin, atol=0.02)
        np.testing.assert_allclose([x + w, y + h], high + margin, atol=0.02)


@pytest.mark.parametrize('ids', ['image', 'file', 'video'])
def test_mmpose_reads_the_detections(data, tmp_path, ids):
    """Results by image id, by file name or by frame of the video."""
    images = json.loads((data / 'train.json').read_text())['images']
    names = dict(
        image=[image['id'] for image in images],
        file=[image['file_name'] for image in images],
        video=[f'S{s}_Motion.1/{i}' for s in (1, 2) for i in range(4)],
    )[ids]
    records = [record(name, seed) for seed, name in enumerate(names) if seed != 2]
    results = write_results(tmp_path / 'results.json', records[::-1])
    out = tmp_path / 'cpn.npy'
    output = run_command(
        'export-lifting', results, '--ann', data / 'train.json', '--format',
        'mmpose', '--layout', 'h36m', '--missing', 'interpolate', '--out', out,
    ).stdout  # fmt: skip
    assert re.search(r'S1_Motion.1 │ 4 +│ 1 ', output)

    dataset = Human36mDataset(
        ann_file=str(data / 'annotation_body3d/h36m_train.npz'),
        camera_param_file=str(data / 'annotation_body3d/cameras.pkl'),
        keypoint_2d_src='detection',
        keypoint_2d_det_file=str(out),
        data_root=str(data),
    )
    for row, expected in ((0, records[0]), (7, records[-1])):
        joints, scores = coco_to_h36m(
            keypoints_of(expected)[:, :2], keypoints_of(expected)[:, 2]
        )
        sample = dataset[row]
        np.testing.assert_allclose(sample['keypoints'][0], joints, rtol=1e-5)
        np.testing.assert_allclose(sample['keypoints_visible'][0], scores, rtol=1e-5)
    # The missing frame is between its neighbours.
    middle = (dataset[1]['keypoints'] + dataset[3]['keypoints']) / 2
    np.testing.assert_allclose(dataset[2]['keypoints'], middle, rtol=1e-4)


def test_video_and_boxes_of_a_person(data, tmp_path):
    video = data / 'videos' / 'S1_Motion.1.mp4'
    other = [90, 20, 30, 60]
    records = [
        record(i, 10 * i + j, 0.9 - 0.5 * j, box)
        for i in range(4)
        for j, box in enumerate((BOX, other))
    ]
    results = write_results(tmp_path / 'results.json', records)
    boxes = [dict(image_id=i, category_id=1, bbox=other, score=1) for i in (0, 1, 3)]
    person = write_results(tmp_path / 'boxes.json', boxes)
    out = tmp_path / 'data_2d_custom_walk.npz'
    command = ('export-lifting', results, '--video', video, '--out', out)
    failed = run_command(*command, '--format', 'videopose3d', check=False)
    assert failed.returncode == 2
    assert '4 frames of S1_Motion.1 show several people' in failed.stderr
    assert not out.exists()

    run_command(*command, '--format', 'videopose3d', '--person', person)
    content = np.load(out, allow_pickle=True)
    (positions,) = content['positions_2d'].item()['S1_Motion.1']['custom']
    assert np.isnan(positions[2]).all()
    np.testing.assert_allclose(positions[3], keypoints_of(records[7])[:, :2], rtol=1e-5)
    size = dict(w=160, h=120, fps=25.0)
    assert content['metadata'].item()['video_metadata'] == {'S1_Motion.1': size}
    again = run_command(*command, '--format', 'videopose3d', check=False)
    assert again.returncode == 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: r.clear(), 'no result belongs to any image'),
        (lambda r: r[0].update(image_id=99), 'no result belongs to any image'),
        (lambda r: r[0].update(image_id='S9_Motion.1/0'), 'ids of the results are'),
    ],
)
def test_errors_of_results(data, tmp_path, change, message):
    records = [record(1, 0)]
    change(records)
    results = write_results(tmp_path / 'results.json', records)
    failed = run_command(
        'export-lifting', results, '--ann', data / 'train.json', '--format',
        'mmpose', '--out', tmp_path / 'a.npy', check=False,
    )  # fmt: skip
    assert failed.returncode == 2
    assert message in failed.stderr
    assert 'Traceback' not in failed.stderr


def test_empty_video_and_other_layouts(data, tmp_path):
    results = write_results(tmp_path / 'results.json', [record(0, 0)])
    empty = tmp_path / 'empty.mp4'
    empty.write_bytes(b'')
    out = ('--format', 'mmpose', '--out', tmp_path / 'a.npy')
    failed = run_command('export-lifting', results, '--video', empty, *out, check=False)
    assert failed.returncode == 2
    assert 'cannot be read as a video' in failed.stderr
    video = data / 'videos' / 'S1_Motion.1.mp4'
    failed = run_command(
        'export-lifting', results, '--video', video, *out,
        '--keypoints', 'h36m', '--layout', 'coco', check=False,
    )  # fmt: skip
    assert failed.returncode == 2
    assert "layout h36m cannot be converted to 'coco'" in failed.stderr


def test_converter_errors(data, tmp_path):
    cameras = data / 'annotation_body3d' / 'cameras.pkl'
    evil = tmp_path / 'evil.pkl'
    evil.write_bytes(pickle.dumps(os.system))
    one = dict(part=np.ones((1, 17, 3)))
    for arrays, camera_file, message in (
        (
            dict(imgname=['S1_Motion.1_000001.jpg']),
            cameras,
            'lacks part, it has imgname',
        ),
        (
            dict(one, imgname=['S9_Motion.1_000001.jpg']),
            cameras,
            'no width and height of camera 1 of subject S9',
        ),
        (
            dict(one, imgname=['a.jpg']),
            cameras,
            'imgname must be SUBJECT_ACTION.CAMERA_FRAME.jpg',
        ),
        (
            dict(one, imgname=['S9_Motion.1_000001.jpg']),
            evil,
            'system is not part of camera parameters',
        ),
    ):
        np.savez(tmp_path / 'a.npz', **arrays)
        failed = run_command(
            'convert h36m', tmp_path / 'a.npz',
            camera_file, '--out', tmp_path / 'a.json', check=False,
        )  # fmt: skip
        assert failed.returncode == 2
        assert message in failed.stderr


def test_all_subjects_in_one_file(data, tmp_path):
    """Annotations of several splits, whose image ids are not unique."""
    dataset = json.loads((data / 'train.json').read_text())
    for image in dataset['images']:
        image['file_name'] = image['file_name'].replace('S', 'S10')
    other = tmp_path / 'test.json'
    other.write_text(json.dumps(dataset))
    names = [
        f'S{s}_Motion.1_{i:06d}.jpg' for s in (1, 2, 101, 102) for i in range(1, 5)
    ]
    results = [record(name, seed) for seed, name in enumerate(names)]
    write_results(tmp_path / 'results.json', results)
    out = tmp_path / 'data_2d_h36m_cpn.npz'
    run_command(
        'export-lifting', tmp_path / 'results.json', '--ann', data / 'train.json',
        other, '--format', 'videopose3d', '--layout', 'h36m', '--out', out,
    )  # fmt: skip
    positions = np.load(out, allow_pickle=True)['positions_2d'].item()
    assert positions.keys() == {'S1', 'S2', 'S101', 'S102'}
    joints, _ = coco_to_h36m(keypoints_of(results[-1])[:, :2], np.ones(17))
    np.testing.assert_allclose(positions['S102']['Motion'][0][3], joints, rtol=1e-5)


def test_frame_indices_are_not_image_ids(data, tmp_path):
    """Frames 0 to 7 of one video, and images 1 to 8."""
    write_results(tmp_path / 'results.json', [record(i, i) for i in range(8)])
    failed = run_command(
        'export-lifting', tmp_path / 'results.json', '--ann', data / 'train.json',
        '--format', 'mmpose', '--out', tmp_path / 'a.npy', check=False,
    )  # fmt: skip
    assert failed.returncode == 2
    assert 'no result belongs to any image' in failed.stderr


def test_other_keypoints_and_boxes(data, tmp_path):
    video = data / 'videos' / 'S1_Motion.1.mp4'
    out = ('--video', video, '--format', 'mmpose', '--out', tmp_path / 'a.npy')
    short = record(0, 0)
    short['keypoints'] = short['keypoints'][:48]
    results = write_results(tmp_path / 'results.json', [short])
    failed = run_command('export-lifting', results, *out, check=False)
    assert 'results must have 17 keypoints, got [16]' in failed.stderr
    results = write_results(tmp_path / 'results.json', [record(0, 0)])
    boxes = [dict(image_id=99, category_id=1, bbox=BOX, score=1)]
    person = write_results(tmp_path / 'boxes.json', boxes)
    failed = run_command(
        'export-lifting', results, *out, '--person', person, check=False
    )
    assert failed.returncode == 2
    assert (
        'a record is of frame 99, but the video has the frames 0 to 3' in failed.stderr
    )


@pytest.mark.parametrize('form', ['videopose3d', 'motionagformer'])
def test_variable_frame_rates_keep_their_times(tmp_path, form):
    video = DATA / 'videos' / 'variable_rate.mkv'
    times = np.array([frame.time for frame in Frames(video)])
    # The frame whose neighbours are at the most different distances.
    shares = (times[1:-1] - times[:-2]) / (times[2:] - times[:-2])
    hidden = int(np.abs(shares - 0.5).argmax()) + 1
    share = shares[hidden - 1]
    assert abs(share - 0.5) > 0.2
    shown = [record(i, i) for i in range(40) if i != hidden]
    results = write_results(tmp_path / 'results.json', shown)
    out = tmp_path / 'a.npz'
    output = run_command(
        'export-lifting', results, '--video', video, '--format', form,
        '--layout', 'h36m', '--missing', 'interpolate', '--out', out,
    ).stdout  # fmt: skip
    assert re.search(r'variable_rate │ 40 +│ 1 .*│ 9.949 \(variable\)', output)
    content = np.load(out, allow_pickle=True)
    if form == 'videopose3d':
        written = content['times'].item()['variable_rate']
        (poses,) = content['positions_2d'].item()['variable_rate']['custom']
    else:
        written, poses = content['times'], content['reconstruction'][0, ..., :2]
    np.testing.assert_allclose(written, times, atol=1e-6)
    expected = (1 - share) * poses[hidden - 1] + share * poses[hidden + 1]
    np.testing.assert_allclose(poses[hidden], expected, rtol=1e-4)


@pytest.mark.parametrize('name', ['resolution_change.ts', 'trimmed.mp4'])
@pytest.mark.parametrize('form', ['{}', '{}.jpg'])
def test_all_frames_of_videos_with_other_headers(tmp_path, name, form):
    video = DATA / 'videos' / name
    number = len([*Frames(video)])
    ids = [i if form == '{}' else form.format(i) for i in range(number + 1)]
    out = tmp_path / 'a.npy'
    command = ('export-lifting', tmp_path / 'results.json', '--video', video)
    command += ('--format', 'mmpose', '--layout', 'h36m', '--out', out)
    write_results(tmp_path / 'results.json', [record(i, 0) for i in ids])
    failed = run_command(*command, check=False)
    assert failed.returncode == 2
    assert f'the video has the frames 0 to {number - 1}' in failed.stderr
    write_results(tmp_path / 'results.json', [record(i, 0) for i in ids[:-1]])
    run_command(*command)
    assert np.isfinite(np.load(out)).all()
    assert len(np.load(out)) == number


def test_boxes_of_a_person_are_matched_by_name(data, tmp_path):
    """Annotations of the frames with ids from 1, for a video with frames from 0."""
    video = data / 'videos' / 'S1_Motion.1.mp4'
    other = [90, 20, 30, 60]
    # The person is on the left in odd frames.
    boxes = [(BOX, other)[i % 2] for i in range(4)]
    images = [dict(id=i + 1, file_name=f'frame_{i:06d}.PNG') for i in range(4)]
    people = [
        dict(id=i, image_id=i + 1, category_id=1, bbox=box)
        for i, box in enumerate(boxes)
    ]
    person = tmp_path / 'person.json'
    person.write_text(json.dumps(dict(images=images, annotations=people)))
    records = [
        record(i, 10 * i + j, 0.9, box)
        for i in range(4)
        for j, box in enumerate((BOX, other))
    ]
    results = write_results(tmp_path / 'results.json', records)
    run_command(
        'export-lifting', results, '--video', video, '--format', 'motionagformer',
        '--person', person, '--keypoints', 'h36m', '--out', tmp_path / 'a.npz',
    )  # fmt: skip
    poses = np.load(tmp_path / 'a.npz')['reconstruction'][0, ..., :2]
    for i in range(4):
        expected = keypoints_of(records[2 * i + i % 2])[:, :2]
        np.testing.assert_allclose(poses[i], expected, rtol=1e-5)


def test_results_of_other_images_are_counted(data, tmp_path):
    records = [record(i, i) for i in (1, 2, 99)]
    records = [dict(r, image_id=f'S1_Motion.1/{r["image_id"]}') for r in records]
    results = write_results(tmp_path / 'results.json', records)
    output = run_command(
        'export-lifting', results, '--ann', data / 'train.json', '--person', 'best',
        '--format', 'mmpose', '--out', tmp_path / 'a.npy', check=False,
    )  # fmt: skip
    text = output.stdout + output.stderr
    assert 'results of 1 of 3 images belong to no image of the annotations' in text


@pytest.mark.parametrize('first', [0, 1])
def test_names_of_frames_count_from_0_or_1(tmp_path, first):
    images = [
        dict(id=i, file_name=f'walk_{first + i:06d}.png', width=160, height=120)
        for i in range(4)
    ]
    ann = tmp_path / 'ann.json'
    ann.write_text(json.dumps(dict(images=images, annotations=[])))
    (clip,) = annotated_clips([ann], {f'walk/{i}' for i in range(4)})
    assert clip.image_ids == tuple(f'walk/{i}' for i in range(4))
