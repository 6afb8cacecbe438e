# SPDX-License-Identifier: Apache-2.0
"""Person detection with a detector of MMDetection."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmdet.models  # noqa: F401
import numpy as np
import torch
from mmdet.apis import init_detector
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from rmpe_plugin.ops import valid_boxes
from rmpe_plugin.utils.checkpoint import load_weights
from rmpe_plugin.utils.model_zoo import find_detector

from .detector import Detector


class PersonDetector(Detector):
    """A detector of MMDetection that returns only its person boxes.

    Args:
        config (str | Path): Name of a detector or its config, see
            :func:`find_detector`. With the names in MMPose's table of default
            detectors, boxes of other objects are returned, such as faces.
        checkpoint (str | Path, optional): File or URL of the weights. Defaults to
            ``None``: those in the index; a config file is left untrained, for
            benchmarks.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        score_thr (float): Boxes with a lower score are dropped. Defaults to 0.
        top_k (int): Maximum number of boxes per image; those with the highest scores
            are kept. Defaults to 100.

    Attributes:
        model (BaseDetector): The detector in eval mode.
        labels (tuple[int, ...]): Indices of the detected classes.
        input_size (tuple[int, int], optional): Scale of ``Resize`` in the test
            pipeline, [w, h] in pixels; ``None`` without a scale.

    Raises:
        OSError: If the config or the checkpoint does not exist, or the weights cannot
            be downloaded.
        ValueError: If no detector has this name, or the checkpoint lacks parameters of
            the detector or the names of its classes, or if ``person`` is not among
            them.

    Example:
        >>> from rmpe_plugin.apis import PersonDetector
        >>> detector = PersonDetector(  # doctest: +SKIP
        ...     'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        ...     'rtmdet_tiny.pth', score_thr=0.3)
        >>> (people,) = detector([image])  # doctest: +SKIP
        >>> people.bboxes.shape, people.bbox_scores.shape  # doctest: +SKIP
        ((3, 4), (3,))
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        score_thr: float = 0.0,
        top_k: int = 100,
    ) -> None:
        self.score_thr, self.top_k = score_thr, top_k
        file, weights, labels = find_detector(config, checkpoint)
        cfg = Config.fromfile(file)
        with (
            DefaultScope.overwrite_default_scope('mmdet'),
            # MMDetection warns that it gets no checkpoint, which load_weights reads.
            warnings.catch_warnings(record=True),
        ):
            # An explicit palette keeps MMDetection from building the test dataset.
            self.model = init_detector(
                cfg, palette='coco', device=device or get_device()
            )
            _, *steps = get_test_pipeline_cfg(cfg)
            self.input_size = _input_size(steps)
            self.pipeline = Compose([dict(type='mmdet.LoadImageFromNDArray'), *steps])
        meta = self.model.dataset_meta  # COCO's classes
        saved = {} if weights is None else load_weights(self.model, weights)
        if labels is None:
            if weights is not None:
                meta['classes'] = _classes(weights, saved)
            labels = (_person_label(file, meta['classes']),)
        self.labels = labels

    def preprocess(self, image: np.ndarray) -> dict:
        """Run the test pipeline on an image, see :meth:`Detector.preprocess`."""
        # Without a default scope, which is global and would be shared by the threads.
        try:
            return self.pipeline(dict(img=image, img_id=0))
        except cv2.error as error:
            # For example a strip that is 0 pixels high at the input size.
            raise ValueError(f"the detector's test pipeline failed: {error}") from error

    @torch.no_grad()
    def predict(self, inputs: list[dict]) -> list[InstanceData]:
        """Detect people, sorted by decreasing score, see :meth:`Detector.predict`."""
        if not inputs:
            return []
        with DefaultScope.overwrite_default_scope('mmdet'):
            samples = self.model.test_step(pseudo_collate(inputs))
        return [self._select_people(sample.pred_instances) for sample in samples]

    def _select_people(self, detections: InstanceData) -> InstanceData:
        """Keep the valid person boxes with the highest scores."""
        detections = detections.cpu().numpy()
        people = detections[
            np.isin(detections.labels, self.labels)
            & (detections.scores >= self.score_thr)
            & valid_boxes(detections.bboxes)
        ]
        best = people[np.argsort(-people.scores, kind='stable')[: self.top_k]]
        return InstanceData(bboxes=best.bboxes, bbox_scores=best.scores)


def _person_label(config: Path, classes: Sequence[str]) -> int:
    """Index of the class ``person``."""
    if 'person' not in classes:
        raise ValueError(
            f"the detector of {config} has no class 'person', only {', '.join(classes)}"
        )
    return classes.index('person')


def _classes(checkpoint: str | Path, meta: dict) -> Sequence[str]:
    """Names of the classes in ``meta`` of a checkpoint."""
    # MMDetection 2 wrote meta['CLASSES'].
    for key, value in (*meta.get('dataset_meta', {}).items(), *meta.items()):
        if key.lower() == 'classes':
            return value
    raise ValueError(
        f'{checkpoint} does not contain the names of the classes '
        "(meta.dataset_meta['classes']), got meta with "
        f'{", ".join(meta) or "no entries"}'
    )


def _input_size(steps: list[dict]) -> tuple[int, int] | None:
    """Scale [w, h] of the first ``Resize`` of a pipeline; None without a scale."""
    resizes = [step for step in steps if step['type'] in ('Resize', 'mmdet.Resize')]
    scale = resizes[0].get('scale') if resizes else None
    return None if scale is None else tuple(scale)
