# SPDX-License-Identifier: Apache-2.0
"""Annotated people and predicted poses of a data set, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from pathlib import Path

import numpy as np
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.ops import head_size_variances, oks_variances, pose_oks
from rmpe_plugin.structures import (
    PERSON_CATEGORY,
    area_of,
    group_by_image,
    is_evaluated,
    labelled_keypoints,
    read_annotations,
    read_results,
    reference_length,
    require_keypoints,
    require_keys,
)

# OKS from which a prediction is of an annotation that is not evaluated.
MIN_IGNORED_OKS = 0.5


@dataclass
class ImagePoses:
    """Annotated people and predictions of an image.

    Attributes:
        image (dict): COCO's record of the image.
        people (list[dict]): Annotations that are evaluated (G).
        gt (np.ndarray): Keypoints (G, K, 2), pixels; NaN where not labelled.
        variances (np.ndarray): Variances of the keypoint similarity (G, K).
        keypoints (np.ndarray): Predicted keypoints (P, K, 2), pixels.
        keypoint_scores (np.ndarray): Their scores (P, K).
        scores (np.ndarray): Scores of the predictions (P,).
        ignored_oks (np.ndarray): OKS of each prediction and each annotation that is not
            evaluated: a crowd, or a person without labelled keypoints (P, O).
        crowd (np.ndarray): Whether these annotations are crowds (O,).
    """

    image: dict
    people: list[dict]
    gt: np.ndarray
    variances: np.ndarray
    keypoints: np.ndarray
    keypoint_scores: np.ndarray
    scores: np.ndarray
    ignored_oks: np.ndarray
    crowd: np.ndarray

    @cached_property
    def oks(self) -> np.ndarray:
        """OKS of each prediction and person (P, G)."""
        return pose_oks(self.keypoints, self.gt, self.variances)

    @property
    def ignored(self) -> np.ndarray:
        """Whether a prediction is of an annotation that is not evaluated (P,)."""
        return (self.ignored_oks >= MIN_IGNORED_OKS).any(axis=1)

    def matching(
        self, oks: np.ndarray, kept: np.ndarray | slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arguments of :func:`rmpe_plugin.ops.oks_average_precision` but the scores.

        Args:
            oks (np.ndarray): OKS of predictions and people (P, G).
            kept (np.ndarray | slice): Indices of these predictions. Defaults to all.

        Returns:
            tuple[np.ndarray, np.ndarray, np.ndarray]: OKS (P, G + O) with all
            annotations, whether an annotation is not evaluated (G + O,), and whether it
            is a crowd (G + O,).
        """
        is_person = np.arange(oks.shape[1] + len(self.crowd)) < oks.shape[1]
        crowd = np.concatenate((np.zeros(oks.shape[1], bool), self.crowd))
        return np.hstack((oks, self.ignored_oks[kept])), ~is_person, crowd


@dataclass
class DiagnosedPoses:
    """Annotations and predictions that are diagnosed.

    Args:
        annotations (dict): COCO annotations, see
            :func:`rmpe_plugin.structures.read_annotations`.
        predictions (list[dict]): COCO results with ``image_id``, ``keypoints`` and
            ``score``.
        meta (dict): MMPose's description of the keypoints: ``num_keypoints``,
            ``sigmas``, ``keypoint_id2name`` and ``skeleton_links``.
        reference (str, optional): Entry of an annotation with a reference length, such
            as ``'head_box'``, on which the similarity is based instead of COCO's OKS: a
            box (x, y, w, h) is a head box, a number is a length in pixels. Defaults to
            ``None``: OKS.

    Attributes:
        dropped (Counter): Number of predictions that are not diagnosed, by reason.

    Raises:
        ValueError: If no person has labelled keypoints, if there are predictions, but
            none of a person in an annotated image, or if a person has no positive area
            or reference length.
    """

    annotations: dict
    predictions: list[dict]
    meta: dict
    reference: str | None = None
    dropped: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.annotations = dict(
            self.annotations,
            # COCO's evaluation ranks equal scores by the ids of the images.
            images=sorted(self.annotations['images'], key=itemgetter('id')),
            annotations=[
                annotation
                for annotation in self.annotations['annotations']
                if annotation.get('category_id', PERSON_CATEGORY) == PERSON_CATEGORY
            ],
        )
        ids = {image['id'] for image in self.annotations['images']}
        kept = []
        for record in self.predictions:
            if record.get('category_id', PERSON_CATEGORY) != PERSON_CATEGORY:
                self.dropped['another category'] += 1
            elif record['image_id'] not in ids:
                self.dropped['image not annotated'] += 1
            else:
                kept.append(record)
        if self.predictions and not kept:
            raise ValueError(
                'no prediction is of a person in an annotated image: '
                + ', '.join(f'{n} of {reason}' for reason, n in self.dropped.items())
            )
        self.predictions = kept
        self._people = group_by_image(self.annotations['annotations'])
        self._predictions = group_by_image(kept)
        evaluated = [
            person
            for person in self.annotations['annotations']
            if is_evaluated(person) and person['image_id'] in ids
        ]
        if not evaluated:
            raise ValueError(
                'the annotations have no person (category 1) with labelled keypoints'
            )
        _ = self._variances(evaluated)  # raises if an area or a length is not valid

    @classmethod
    def from_files(
        cls, pred: Path, ann: Path, meta: dict, reference: str | None = None
    ) -> DiagnosedPoses:
        """Read annotations and predictions.

        Args:
            pred (Path): Predictions in COCO's or AlphaPose's result format. AlphaPose
                names images by their file names.
            ann (Path): COCO annotations.
            meta (dict): See the class.
            reference (str, optional): See the class. Defaults to ``None``.

        Returns:
            DiagnosedPoses: All images of the annotations.

        Raises:
            ValueError: If a file is malformed, has another number of keypoints, or has
                no prediction for the annotated images.
        """
        annotations = read_annotations(ann)
        require_keys(ann, 'annotation', annotations['annotations'], {'bbox'})
        predictions = read_results(pred, {'image_id', 'keypoints', 'score'})
        if not predictions:
            raise ValueError(f'{pred} contains no predictions')
        for path, kind, records in (
            (ann, 'annotation', annotations['annotations']),
            (pred, 'result', predictions),
        ):
            require_keypoints(path, kind, records, meta['num_keypoints'])
        _name_to_id(predictions, annotations['images'])
        try:
            return cls(annotations, predictions, meta, reference)
        except ValueError as error:
            raise ValueError(f'{pred} and {ann}: {error}') from error

    def __iter__(self) -> Iterator[ImagePoses]:
        for image in self.annotations['images']:
            yield self._image_poses(image)

    def __len__(self) -> int:
        return len(self.annotations['images'])

    def _image_poses(self, image: dict) -> ImagePoses:
        """Convert the records of an image to arrays."""
        annotated = self._people[image['id']]
        people = [person for person in annotated if is_evaluated(person)]
        predictions = self._predictions[image['id']]
        shape = (len(predictions), self.meta['num_keypoints'], 3)
        triples = np.reshape([r['keypoints'] for r in predictions], shape).astype(float)
        keypoints = triples[..., :2]
        others = [person for person in annotated if not is_evaluated(person)]
        return ImagePoses(
            image=image,
            people=people,
            gt=labelled_keypoints(people, self.meta['num_keypoints']),
            variances=self._variances(people),
            keypoints=keypoints,
            keypoint_scores=triples[..., 2],
            scores=np.array([record['score'] for record in predictions], float),
            ignored_oks=self._ignored_oks(keypoints, others),
            crowd=np.array([bool(person.get('iscrowd')) for person in others], bool),
        )

    def _variances(self, people: list[dict]) -> np.ndarray:
        """Variances (G, K) of the keypoint similarity."""
        if self.reference is None:
            areas = np.array([area_of(person) for person in people], float)
            return oks_variances(areas, np.asarray(self.meta['sigmas']))
        return head_size_variances(self.lengths(people), self.meta['num_keypoints'])

    def lengths(self, people: list[dict]) -> np.ndarray:
        """Reference lengths of annotations (G,), pixels.

        Args:
            people (list[dict]): Annotations (G).

        Returns:
            np.ndarray: Lengths (G,).

        Raises:
            ValueError: If an annotation has no reference length.
        """
        return np.array([reference_length(p, self.reference) for p in people], float)

    def _ignored_oks(self, keypoints: np.ndarray, others: list[dict]) -> np.ndarray:
        """OKS (P, O) with annotations that are not evaluated."""
        # Without labelled keypoints, COCO's evaluation uses the distances from a box of
        # three times the size.
        if not others or not len(keypoints):
            return np.zeros((len(keypoints), len(others)))
        boxes = np.array([person['bbox'] for person in others], float)
        corners = bbox_xywh2xyxy(boxes)
        low = (corners[:, :2] - boxes[:, 2:])[:, None]  # (O, 1, 2)
        high = (corners[:, 2:] + boxes[:, 2:])[:, None]
        points = keypoints[:, None]  # (P, 1, K, 2)
        outside = np.maximum(0, low - points) + np.maximum(0, points - high)
        areas = np.array([area_of(person) for person in others], float)
        variances = oks_variances(areas, np.asarray(self.meta['sigmas']))
        of_box = np.exp(-(outside**2).sum(axis=-1) / variances / 2).mean(axis=-1)
        gt = labelled_keypoints(others, self.meta['num_keypoints'])
        labelled = np.isfinite(gt).any(axis=(1, 2))
        return np.where(labelled, pose_oks(keypoints, gt, variances), of_box)


def _name_to_id(predictions: list[dict], images: list[dict]) -> None:
    """Replace file names in ``image_id`` by ids, in place; others are kept."""
    ids: dict[str, list] = {}
    for image in images:
        name = image.get('file_name', '')
        for key in {name, Path(name).name}:
            ids.setdefault(key, []).append(image['id'])
    for record in predictions:
        name = record['image_id']
        if not isinstance(name, str):
            continue
        found = ids.get(name, ids.get(Path(name).name, [name]))
        if len(found) > 1:
            raise ValueError(f'the images {found[:3]} all have the file name {name}')
        record['image_id'] = found[0]
