# SPDX-License-Identifier: Apache-2.0
"""AP from similarities against pycocotools and xtcocotools."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from xtcocotools.coco import COCO as ExtendedCOCO
from xtcocotools.cocoeval import COCOeval as ExtendedCOCOeval

from rmpe_plugin.ops import oks_average_precision, oks_variances, pose_oks

SIGMAS = np.full(17, 0.07)


def scene(seed, images=12, people=5, predictions=25):
    """COCO annotations with crowds and people without keypoints, and results."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(images):
        for _ in range(rng.integers(0, people + 1)):
            keypoints = rng.uniform(50, 450) + rng.normal(0, 30, (17, 2))
            visibility = rng.integers(0, 3, 17) * (rng.random() > 0.2)
            low, size = keypoints.min(axis=0), np.ptp(keypoints, axis=0)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=1,
                    iscrowd=int(rng.random() < 0.1),
                    bbox=[*low.tolist(), *size.tolist()],
                    area=float(size.prod()) / 2,
                    num_keypoints=int((visibility > 0).sum()),
                    keypoints=np.column_stack((keypoints, visibility)).ravel().tolist(),
                )
            )
        here = [a for a in annotations if a['image_id'] == image]
        for _ in range(rng.integers(0, predictions)):
            pose = rng.uniform(0, 500, (17, 2))
            if here and rng.random() < 0.9:
                source = here[rng.integers(len(here))]
                pose = np.reshape(source['keypoints'], (17, 3))[:, :2]
                pose = pose + rng.normal(0, rng.uniform(1, 20), pose.shape)
            results.append(
                dict(
                    image_id=image,
                    category_id=1,
                    # Ties within and between images
                    score=float(rng.integers(1, 20)) / 20,
                    keypoints=np.insert(pose, 2, 1, axis=1).ravel().tolist(),
                )
            )
    return annotations, results


def pycocotools_ap(annotations, results, images):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(
            images=[dict(id=i) for i in range(images)],
            annotations=annotations,
            categories=[dict(id=1, name='person')],
        )
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), 'keypoints')
        evaluation.params.kpt_oks_sigmas = SIGMAS
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


def xtcocotools_ap(annotations, results, ids):
    """AP of the evaluation that MMPose uses."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = ExtendedCOCO()
        coco.anno_file = [None]
        coco.dataset = dict(
            images=[dict(id=i) for i in ids],
            annotations=annotations,
            categories=[dict(id=1, name='person')],
        )
        coco.createIndex()
        evaluation = ExtendedCOCOeval(
            coco, coco.loadRes(results), 'keypoints', sigmas=SIGMAS
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


def diagnosed_ap(annotations, results, ids):
    """AP of the arrays that a diagnosis makes of the records."""
    from rmpe_plugin.diagnosis import DiagnosedPoses, Diagnosis, coco_ap

    dataset = dict(images=[dict(id=i) for i in ids], annotations=annotations)
    meta = dict(
        num_keypoints=17,
        sigmas=SIGMAS,
        keypoint_id2name={i: str(i) for i in range(17)},
        skeleton_links=[],
    )
    return coco_ap(Diagnosis(DiagnosedPoses(dataset, results, meta)))


@pytest.mark.parametrize('seed', range(8))
def test_equals_pycocotools(seed):
    annotations, results = scene(seed)
    expected = pycocotools_ap(annotations, results, 12)
    assert 0.05 < expected < 0.95
    ap = diagnosed_ap(annotations, results, range(12))
    assert ap == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize('seed', range(8))
def test_equal_scores_are_ranked_by_image_id_then_in_the_order_of_the_file(seed):
    annotations, results = scene(seed, predictions=8)
    rng = np.random.default_rng(seed)
    for result in results:
        result['score'] = float(rng.integers(1, 3)) / 2
    results = [results[i] for i in rng.permutation(len(results))]
    expected = xtcocotools_ap(annotations, results, range(12))
    for ids in (range(12), rng.permutation(12).tolist()):
        ap = diagnosed_ap(annotations, results, ids)
        assert ap == pytest.approx(expected, abs=1e-9)


def test_many_images_are_matched_in_chunks():
    annotations, results = scene(0, images=300)
    expected = pycocotools_ap(annotations, results, 300)
    ap = diagnosed_ap(annotations, results, range(300))
    assert ap == pytest.approx(expected, abs=1e-9)


def test_perfect_and_no_predictions():
    gt = np.random.default_rng(0).uniform(0, 50, (3, 17, 2))
    oks = pose_oks(gt, gt, oks_variances(np.full(3, 900.0), SIGMAS))
    no, scores = np.zeros(3, bool), np.ones(3)
    assert oks_average_precision([oks], [scores], [no], [no]) == pytest.approx(1)
    empty = np.zeros((0, 3))
    assert oks_average_precision([empty], [scores[:0]], [no], [no]) == 0
    assert np.isnan(oks_average_precision([oks], [scores], [~no], [no]))
    with pytest.raises(ValueError, match='at least one image, got none'):
        oks_average_precision([], [], [], [])
