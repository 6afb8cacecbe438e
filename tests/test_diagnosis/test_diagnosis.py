# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from rmpe_plugin.diagnosis import (
    DiagnosedPoses,
    Diagnosis,
    ModelReport,
    ap_gains,
    changed_people,
    coco_ap,
    corrections,
    worst_examples,
)
from tests.test_diagnosis.conftest import META, NAMES, POSE, person, result, scene


@pytest.fixture(scope='module')
def diagnosis():
    return Diagnosis(DiagnosedPoses(*scene(), META))


def test_counts(diagnosis):
    counts = diagnosis.person_counts()
    assert counts == {
        'matched': 2,
        'duplicate': 1,
        'background': 1,
        'ignored': 0,
        'missed': 1,
        'wrong order': 1,
    }
    counts = {name: c.tolist() for name, c in diagnosis.keypoint_counts().items()}
    # good, jitter, inversion, swap, miss, person missed
    assert counts['all'] == [5, 1, 1, 1, 1, 5]
    assert counts['left_hand'] == [1, 0, 1, 0, 0, 1]
    assert counts['occluded'] == [1, 0, 0, 0, 0, 0]
    assert counts['small area'] == [0, 0, 0, 0, 0, 5]
    joints = np.sum([counts[name] for name in NAMES], axis=0)
    assert joints.tolist() == counts['all']


def test_each_correction_removes_its_errors(diagnosis):
    annotations, _ = scene()
    image, types = diagnosis.images[0], diagnosis.types[0]
    functions = corrections()
    keypoints, *_ = functions['swap'](0, image, types)
    np.testing.assert_array_equal(keypoints[0, 2], image.gt[0, 2])
    changed = (keypoints != image.keypoints).any(axis=-1)
    assert changed.sum() == 1

    _, scores, kept, people = functions['wrong order'](0, image, types)
    assert scores.tolist() == [0.5, 0.9, 0.8]
    _, scores, *_ = functions['ranking'](0, image, types)
    assert scores[0] == 0
    assert scores[1] == pytest.approx(1)
    assert functions['duplicate'](0, image, types)[2].tolist() == [0, 2]
    image, types = diagnosis.images[1], diagnosis.types[1]
    assert functions['background'](1, image, types)[2].tolist() == []
    assert functions['missed'](1, image, types)[3].tolist() == []


def test_gains(diagnosis):
    ap, gains, groups = ap_gains(diagnosis)
    assert ap == pytest.approx(coco_ap(diagnosis))
    assert gains['missed'] > 0.1
    assert gains['wrong order'] > 0.1
    assert gains['inversion'] >= 0
    # The duplicate is the better prediction.
    assert gains['duplicate'] < 0
    assert groups['left_hand'] >= 0
    assert 'all' not in groups
    annotations, _ = scene()
    perfect = [dict(person, score=0.5) for person in annotations['annotations']]
    assert coco_ap(Diagnosis(DiagnosedPoses(annotations, perfect, META))) == (
        pytest.approx(1)
    )


def test_gains_of_the_multi_person_map():
    annotations, predictions = scene()
    predictions[3]['keypoints'][2::3] = [0.9] * 5  # the background prediction
    poses = DiagnosedPoses(annotations, predictions, META, reference='head_box')
    report = ModelReport.of('a', Diagnosis(poses))
    assert report.metric == 'multi-person mAP'
    assert 0 < report.ap < 100
    assert report.gains['background'] > 0
    # Joints are ranked by their own scores.
    assert not {'wrong order', 'ranking'} & set(report.gains)
    rows = dict(row[:2] for row in report.tables()[0].rows)
    assert rows['swap'] == '1'


def test_worst_examples(diagnosis):
    examples = worst_examples(diagnosis, 5)
    assert [e.error for e in examples] == [
        'jitter', 'inversion', 'swap', 'miss', 'missed', 'duplicate', 'background',
        'wrong order',
    ]  # fmt: skip
    inversion = examples[1]
    assert inversion.joints == (1,)
    assert (inversion.image, inversion.person, inversion.prediction) == (0, 0, 0)
    assert examples[4].size == 'small'


def test_changed_people(diagnosis):
    annotations, predictions = scene()
    predictions[0] = result(1, POSE + (21, 20), 0.9)
    predictions[2] = result(1, POSE + (250, 20), 0.8)
    other = Diagnosis(DiagnosedPoses(annotations, predictions, META))
    improved, worsened = changed_people(diagnosis, other, 5)
    assert [e.person for e in improved] == [0]
    assert [e.person for e in worsened] == [1]


def test_kinds_of_failures(diagnosis):
    kinds = diagnosis.kinds(None)
    assert kinds['all people'] == (3, 2)
    assert kinds['missed'] == (1, 1)
    assert 'rare pose' not in kinds


# Only the joints of the torso are used.
COCO_NAMES = {i: str(i) for i in range(17)} | {
    5: 'left_shoulder',
    6: 'right_shoulder',
    11: 'left_hip',
    12: 'right_hip',
}


def test_rare_poses_are_far_from_all_atoms():
    rng = np.random.default_rng(0)
    usual = rng.uniform(0, 100, (17, 2))
    usual[[5, 6, 11, 12]] = [[40, 40], [60, 40], [42, 80], [58, 80]]
    annotations = []
    for i in range(40):
        pose = usual + rng.normal(0, 2, usual.shape)
        if i == 7:
            pose[[9, 10]] += 300
        annotation = person(i + 1, 1, (0, 0))
        annotation['keypoints'] = np.insert(pose, 2, 2, axis=1).ravel().tolist()
        annotations.append(annotation)
    meta = dict(
        num_keypoints=17,
        sigmas=np.full(17, 0.05),
        keypoint_id2name=COCO_NAMES,
        skeleton_links=[],
    )
    dataset = dict(images=[dict(id=1)], annotations=annotations)
    diagnosis = Diagnosis(DiagnosedPoses(dataset, [], meta))
    atom = diagnosis.people.aligned[:1]
    rare = diagnosis.rare(atom)
    assert rare[7]
    assert rare.sum() <= 4


def test_drops_and_counts_other_predictions():
    annotations, predictions = scene()
    extra = [dict(predictions[0], image_id=99), dict(predictions[0], category_id=2)]
    poses = DiagnosedPoses(annotations, predictions + extra, META)
    assert dict(poses.dropped) == {'image not annotated': 1, 'another category': 1}
    assert len(poses.predictions) == 4


def test_annotations_of_other_categories_are_not_people():
    annotations, predictions = scene()
    annotations['annotations'][2]['category_id'] = 2
    diagnosis = Diagnosis(DiagnosedPoses(annotations, predictions, META))
    assert diagnosis.person_counts()['missed'] == 0


def test_raises_on_an_ambiguous_file_name(tmp_path):
    annotations, predictions = scene()
    for image, name in zip(annotations['images'], ('a/1.png', 'b/1.png'), strict=True):
        image['file_name'] = name
    predictions[0]['image_id'] = 'a/1.png'
    paths = write(tmp_path, annotations, predictions)
    DiagnosedPoses.from_files(*paths, META)
    predictions[0]['image_id'] = '1.png'
    paths = write(tmp_path, annotations, predictions)
    with pytest.raises(ValueError, match=r'\[1, 2\] all have the file name 1.png'):
        DiagnosedPoses.from_files(*paths, META)


def test_predictions_of_a_crowd_are_ignored():
    annotations, predictions = scene()
    crowd = dict(person(9, 2, (200, 100), visibility=0), iscrowd=1)
    annotations['annotations'].append(crowd)
    diagnosis = Diagnosis(DiagnosedPoses(annotations, predictions, META))
    counts = diagnosis.person_counts()
    assert (counts['ignored'], counts['background']) == (1, 0)


def write(folder, annotations, predictions):
    paths = folder / 'pred.json', folder / 'ann.json'
    for path, content in zip(paths, (predictions, annotations), strict=True):
        path.write_text(json.dumps(content))
    return paths


def test_alphapose_names_images_by_their_files(tmp_path):
    annotations, predictions = scene()
    for record in predictions:
        record['image_id'] = f'{record["image_id"]:06d}.png'
    paths = write(tmp_path, annotations, predictions)
    diagnosis = Diagnosis(DiagnosedPoses.from_files(*paths, META))
    assert diagnosis.person_counts()['matched'] == 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda a, p: p.clear(), 'contains no predictions'),
        (lambda a, p: [r.update(image_id=9) for r in p], '4 of image not annotated'),
        (lambda a, p: [r.update(category_id=3) for r in p], '4 of another category'),
        (lambda a, p: p[0].update(keypoints=[0] * 12), 'expected 3 x 5'),
        (lambda a, p: a['annotations'].clear(), r'no person \(category 1\) with'),
        (lambda a, p: a['annotations'][0].update(keypoints=[1] * 6), 'expected 3 x 5'),
    ],
)
def test_raises_on_files_that_do_not_fit(tmp_path, change, message):
    annotations, predictions = scene()
    change(annotations, predictions)
    paths = write(tmp_path, annotations, predictions)
    with pytest.raises(ValueError, match=message):
        DiagnosedPoses.from_files(*paths, META)


def test_raises_without_reference_length():
    annotations, predictions = scene()
    del annotations['annotations'][0]['head_box']
    with pytest.raises(ValueError, match="annotation 1 must have 'head_box'"):
        DiagnosedPoses(annotations, predictions, META, reference='head_box')


def test_raises_without_a_positive_area():
    annotations, predictions = scene()
    annotations['annotations'][0]['area'] = 0
    with pytest.raises(ValueError, match='annotation 1 must have a positive area'):
        DiagnosedPoses(annotations, predictions, META)
    DiagnosedPoses(annotations, predictions, META, reference='head_box')
    # A crowd is not evaluated.
    annotations['annotations'][0]['iscrowd'] = 1
    DiagnosedPoses(annotations, predictions, META)
