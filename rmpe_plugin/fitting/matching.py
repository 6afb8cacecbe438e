# SPDX-License-Identifier: Apache-2.0
"""Match detections to annotated people, one to one by IoU."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from mmpose.structures.bbox import bbox_xywh2xyxy
from pycocotools.mask import iou

from rmpe_plugin.ops import ProposalModel, box_offsets, valid_boxes
from rmpe_plugin.structures import read_coco, require_keypoints, require_keys

Pair = tuple[dict, dict]
Counts = dict[str, Counter]


@dataclass
class MatchedPeople:
    """People with labelled keypoints, and the detection that was matched to each.

    Indexing with a mask or indices selects people.

    Attributes:
        image_ids (np.ndarray): Image of each person (N,).
        image_sizes (np.ndarray): Width and height of that image (N, 2), pixels.
        keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
        keypoints_visible (np.ndarray): COCO's visibility flags (N, K), 0 to 2.
        gt_bboxes (np.ndarray): Ground-truth boxes (N, 4), xyxy, pixels.
        detections (np.ndarray): Matched boxes (N, 4), xyxy, pixels.
    """

    image_ids: np.ndarray
    image_sizes: np.ndarray
    keypoints: np.ndarray
    keypoints_visible: np.ndarray
    gt_bboxes: np.ndarray
    detections: np.ndarray

    def __getitem__(self, index: np.ndarray) -> MatchedPeople:
        return MatchedPeople(*(getattr(self, f.name)[index] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.image_ids)

    @classmethod
    def from_pairs(cls, pairs: Sequence[Pair], images: list[dict]) -> MatchedPeople:
        """Convert records to arrays.

        Args:
            pairs (Sequence[tuple[dict, dict]]): Annotation and detection of each
                person, as :func:`match_detections` returns them.
            images (list[dict]): COCO image records with ``width`` and ``height``.

        Returns:
            MatchedPeople: The people, in the order of ``pairs``.

        Raises:
            ValueError: If there are no pairs.
        """
        if not pairs:
            raise ValueError(
                'no detection was matched to a person with labelled keypoints'
            )
        sizes = {image['id']: (image['width'], image['height']) for image in images}
        people, detections = zip(*pairs, strict=True)
        poses = np.reshape([p['keypoints'] for p in people], (len(pairs), -1, 3))
        image_ids = [person['image_id'] for person in people]
        return cls(
            image_ids=np.array(image_ids),
            image_sizes=np.array([sizes[i] for i in image_ids]),
            keypoints=poses[..., :2].astype(float),
            keypoints_visible=poses[..., 2],
            gt_bboxes=_xyxy(people),
            detections=_xyxy(detections),
        )

    @property
    def model_inputs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keypoints, visibility and ground-truth boxes: inputs of a proposal model."""
        return self.keypoints, self.keypoints_visible, self.gt_bboxes

    @property
    def offsets(self) -> np.ndarray:
        """Offsets of the detections from the ground-truth boxes (N, 4)."""
        return box_offsets(self.gt_bboxes, self.detections)

    def sample_offsets(
        self, model: ProposalModel, rng: np.random.Generator
    ) -> np.ndarray:
        """Sample one proposal per person, clipped to the image.

        Args:
            model (ProposalModel): The model to sample from.
            rng (np.random.Generator): Source of randomness.

        Returns:
            np.ndarray: Offsets of the proposals from the ground-truth boxes (N, 4).
        """
        boxes = model.sample(*self.model_inputs, 1, rng, self.image_sizes)
        return box_offsets(self.gt_bboxes, boxes[:, 0])


def read_matching_inputs(
    ann: Path, det: Path, num_keypoints: int
) -> tuple[dict, list[dict]]:
    """Read annotations and detections, and check that they can be matched.

    Args:
        ann (Path): COCO keypoint annotations.
        det (Path): Detections in COCO's result format.
        num_keypoints (int): K.

    Returns:
        tuple[dict, list[dict]]: Annotations and detections.

    Raises:
        ValueError: If a file is malformed, no keypoint is labelled, or the files have
            no image in common.
    """
    annotations, detections = read_coco(
        ann, det, {'image_id', 'category_id', 'bbox', 'score'}
    )
    images, people = annotations['images'], annotations['annotations']
    require_keys(ann, 'image', images, {'file_name', 'width', 'height'})
    require_keys(ann, 'annotation', people, {'bbox'})
    require_keypoints(ann, 'annotation', people, num_keypoints)
    if not any(map(has_labelled_keypoints, people)):
        raise ValueError(f'{ann} has no labelled keypoints')
    annotated = {image['id'] for image in images}
    detected = {detection['image_id'] for detection in detections}
    if not annotated & detected:
        raise ValueError(
            f'no image of {det} is in {ann}: their image ids are for example '
            f'{sorted(detected)[:3]} and {sorted(annotated)[:3]}'
        )
    return annotations, detections


def match_detections(
    annotations: dict,
    detections: list[dict],
    iou_thr: float = 0.5,
    score_thr: float = 0.05,
    track: Callable[[Sequence], Iterable] = iter,
) -> tuple[list[Pair], Counts]:
    """Match the detections of every image to its people, one to one.

    Crowd annotations, invalid boxes, other categories and detections with a low score
    are dropped first. People without labelled keypoints are matched, so that no other
    person gets their detection, and then dropped.

    Args:
        annotations (dict): COCO keypoint annotations.
        detections (list[dict]): COCO results with ``image_id``, ``category_id``,
            ``bbox`` and ``score``.
        iou_thr (float): Lowest IoU of a pair. Defaults to 0.5.
        score_thr (float): Lowest score of a detection. Defaults to 0.05.
        track (Callable): Wraps the sequence of images, to show progress. Defaults to
            ``iter``.

    Returns:
        tuple[list[tuple[dict, dict]], dict[str, Counter]]: Pairs of annotation and
        detection; and counts of matched, unmatched and ignored ``'people'`` and
        ``'detections'`` by outcome, each adding up to the number of records.
    """
    counts: Counts = {'people': Counter(), 'detections': Counter()}
    image_ids = [image['id'] for image in annotations['images']]
    people = _usable_people(annotations['annotations'], image_ids, counts['people'])
    boxes = _usable_detections(detections, image_ids, score_thr, counts['detections'])
    pairs = []
    for image_id in track(image_ids):
        pairs += _match_image(people[image_id], boxes[image_id], iou_thr, counts)
    return pairs, counts


def pair_by_iou(overlaps: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pair rows with columns one to one, the highest IoU first.

    Args:
        overlaps (np.ndarray): IoU of each row and column (R, C).
        threshold (float): Lowest IoU of a pair, above 0.

    Returns:
        list[tuple[int, int]]: Row and column of each pair, by descending IoU.
    """
    remaining, pairs = overlaps.copy(), []
    while remaining.size and remaining.max() >= threshold:
        row, column = np.unravel_index(remaining.argmax(), remaining.shape)
        pairs.append((int(row), int(column)))
        remaining[row], remaining[:, column] = -1, -1
    return pairs


def has_labelled_keypoints(person: dict) -> bool:
    """Check whether any keypoint of an annotation is labelled (v > 0).

    Args:
        person (dict): COCO annotation.

    Returns:
        bool: Whether one is; ``False`` without ``keypoints``.
    """
    return any(person.get('keypoints', ())[2::3])


def _xyxy(records: Sequence[dict]) -> np.ndarray:
    """Boxes of COCO records (N, 4), xyxy."""
    xywh = np.array([record['bbox'] for record in records], float)
    return bbox_xywh2xyxy(xywh.reshape(-1, 4))


def _usable_people(
    people: list[dict], image_ids: Iterable[int], counts: Counter
) -> dict[int, list[dict]]:
    """Group annotations by image without those that cannot be matched."""
    known = set(image_ids)
    reasons = {
        'crowd': [person.get('iscrowd') for person in people],
        'image not listed': [person['image_id'] not in known for person in people],
        'invalid box': ~valid_boxes(_xyxy(people)),
    }
    return _group_usable_by_image(people, reasons, counts)


def _usable_detections(
    boxes: list[dict], image_ids: Iterable[int], score_thr: float, counts: Counter
) -> dict[int, list[dict]]:
    """Group detections by image without those that cannot be matched."""
    known = set(image_ids)
    reasons = {
        'category other than 1 (person)': [box['category_id'] != 1 for box in boxes],
        'image not annotated': [box['image_id'] not in known for box in boxes],
        f'score below {score_thr}': [box['score'] < score_thr for box in boxes],
        'invalid box': ~valid_boxes(_xyxy(boxes)),
    }
    return _group_usable_by_image(boxes, reasons, counts)


def _group_usable_by_image(
    records: list[dict], reasons: dict[str, Sequence[bool]], counts: Counter
) -> dict[int, list[dict]]:
    """Group records to which no reason applies; count the others by the first one."""
    grouped = defaultdict(list)
    for record, *applies in zip(records, *reasons.values(), strict=True):
        reason = next((r for r, holds in zip(reasons, applies, strict=True) if holds),
                      None)  # fmt: skip
        if reason is None:
            grouped[record['image_id']].append(record)
        else:
            counts[reason] += 1
    return grouped


def _match_image(
    people: list[dict], boxes: list[dict], iou_thr: float, counts: Counts
) -> list[Pair]:
    """Match one image's detections to its people, and update the counts in place."""
    matches = []
    if people and boxes:
        xywh = [np.array([r['bbox'] for r in rs], float) for rs in (people, boxes)]
        matches = pair_by_iou(iou(*xywh, [0] * len(boxes)), iou_thr)
    pairs = [
        (people[i], boxes[j]) for i, j in matches if has_labelled_keypoints(people[i])
    ]
    unlabelled = len(matches) - len(pairs)
    counts['people'].update({
        'matched': len(pairs),
        'no labelled keypoints': unlabelled,
        f'no detection with IoU >= {iou_thr}': len(people) - len(matches),
    })  # fmt: skip
    counts['detections'].update({
        'matched': len(pairs),
        'person without labelled keypoints': unlabelled,
        f'no person with IoU >= {iou_thr}': len(boxes) - len(matches),
    })  # fmt: skip
    return pairs
