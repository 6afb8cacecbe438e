# SPDX-License-Identifier: Apache-2.0
"""Random poses, and pose NMS written as plain loops over poses and keypoints."""

import math

import numpy as np

from rmpe_plugin.ops import PoseNMSParams

PRESETS = ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')


def random_poses(rng, number, num_persons=None, num_keypoints=17, jitter=3.0):
    """Poses (N, K, 2), scores (N, K) and boxes (N, 4), with duplicates of persons."""
    num_persons = num_persons or max(1, number // 2)
    body = rng.uniform(0, 300, (num_persons, 1, 2)) + rng.normal(
        0, 25, (num_persons, num_keypoints, 2)
    )
    person = rng.integers(0, num_persons, number)
    keypoints = body[person] + rng.normal(0, jitter, (number, num_keypoints, 2))
    scores = rng.uniform(0, 1, (number, num_keypoints))
    low, high = keypoints.min(1), keypoints.max(1)
    return keypoints, scores, np.concatenate((low - 3, high + 3), axis=1)


def random_params(rng, num_keypoints):
    """Random parameters for which poses are suppressed, merged and filtered out."""
    normalize, share = bool(rng.random() < 0.5), min(1, num_keypoints / 16)

    def maybe(value):
        return value if rng.random() < 0.5 else None

    return PoseNMSParams(
        sigma1=rng.choice([0.01, 0.3, 1.0]),
        sigma2=rng.uniform(0.5, 5),
        lambda_=rng.uniform(0, 3),
        eta=rng.uniform(0.1, 2) * (1 if normalize else num_keypoints / share),
        region=str(rng.choice(['box', 'circle'])),
        squared=bool(rng.random() < 0.5),
        units=str(rng.choice(['box', 'pixel'])),
        alpha=rng.uniform(0.05, 0.2),
        normalize=normalize,
        match_count=maybe(int(rng.integers(1, 6))),
        match_radius=maybe(7.0),
        max_score_thr=rng.choice([0.0, 0.5]),
        mean_score_thr=rng.choice([0.0, 0.4]),
        min_area=rng.choice([0.0, 5000.0]),
        merge=str(rng.choice(['none', 'weighted', 'weighted-max'])),
        merge_radius=maybe(5.0),
    )


def slow_similarity(keypoints, scores, boxes, p):
    number, num_keypoints = scores.shape
    similarity = np.zeros((number, number))
    for i in range(number):
        width, height = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        unit = p.alpha * max(width, height) if p.units == 'box' else 1
        for j in range(number):
            for n in range(num_keypoints):
                dx, dy = keypoints[i, n] - keypoints[j, n]
                distance = math.hypot(dx, dy) / unit
                if p.region == 'box':
                    matched = (
                        abs(dx) <= p.alpha * width / 2
                        and abs(dy) <= p.alpha * height / 2
                    )
                else:
                    matched = distance <= 1
                if matched:
                    similarity[i, j] += math.tanh(scores[i, n] / p.sigma1) * math.tanh(
                        scores[j, n] / p.sigma1
                    )
                power = 2 if p.squared else 1
                similarity[i, j] += p.lambda_ * math.exp(-(distance**power) / p.sigma2)
    return similarity / num_keypoints if p.normalize else similarity


def bounded_radius(box, p, radius):
    longer = max(box[2] - box[0], box[3] - box[1])
    return min(p.alpha * longer, math.inf if radius is None else radius)


def slow_merge(kept, members, keypoints, scores, boxes, p):
    pose, score = keypoints[kept].copy(), scores[kept].copy()
    radius = bounded_radius(boxes[kept], p, p.merge_radius)
    for n in range(len(pose)):
        near = [
            m
            for m in members
            if math.dist(keypoints[m, n], keypoints[kept, n]) <= radius
        ]
        weights = [max(scores[m, n], 1e-5) for m in near]
        pose[n] = sum(
            w * keypoints[m, n] for w, m in zip(weights, near, strict=True)
        ) / sum(weights)
        score[n] = sum(
            w * scores[m, n] for w, m in zip(weights, near, strict=True)
        ) / sum(weights)
        if p.merge == 'weighted-max':
            score[n] = max(scores[m, n] for m in near)
    return pose, score


def slow_passes_thresholds(pose, score, p):
    width, height = np.ptp(pose, axis=0)
    return (
        score.max() >= p.max_score_thr
        and score.mean() >= p.mean_score_thr
        and 1.5**2 * width * height >= p.min_area
    )


def slow_nms(keypoints, scores, boxes, p, person_scores=None):
    if person_scores is None:
        person_scores = scores.mean(axis=1)
    similarity = slow_similarity(keypoints, scores, boxes, p)
    share = min(1, scores.shape[1] / 16)
    eta = p.eta if p.normalize else share * p.eta
    remaining = sorted(range(len(scores)), key=lambda i: -person_scores[i])
    cluster_of = np.full(len(scores), -1)
    keep, poses, pose_scores = [], [], []
    while remaining:
        kept = remaining[0]
        members = [kept]
        for j in remaining[1:]:
            suppressed = similarity[kept, j] > eta
            if p.match_count is not None:
                radius = bounded_radius(boxes[kept], p, p.match_radius)
                distances = np.linalg.norm(keypoints[kept] - keypoints[j], axis=1)
                suppressed |= (distances <= radius).sum() >= share * p.match_count
            if suppressed:
                members.append(j)
        remaining = [j for j in remaining if j not in members]
        pose, score = keypoints[kept], scores[kept]
        passes = slow_passes_thresholds(pose, score, p)
        if p.merge != 'none':
            pose, score = slow_merge(kept, members, keypoints, scores, boxes, p)
            passes &= slow_passes_thresholds(pose, score, p)
        if passes:
            cluster_of[members] = kept
            keep.append(kept)
            poses.append(pose)
            pose_scores.append(score)
    return keep, cluster_of, poses, pose_scores
