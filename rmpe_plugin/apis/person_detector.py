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
from rmpe_plugin.utils.configs import find_config

from .detector import Detector


class PersonDetector(Detector):
    """A detector of MMDetection that returns only its person boxes.

    Args:
        config (str | Path): Config file, or the name of a config in a package, such
            as ``'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'``.
        checkpoint (str | Path, optional): File or URL of the weights. ``None`` leaves
            the detector untrained, for benchmarks.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        score_thr (float): Boxes with a lower score are dropped. Defaults to 0.
        top_k (int): Maximum number of boxes per image; those with the highest scores
            are kept. Defaults to 100.

    Attributes:
        model (BaseDetector): The detector in eval mode.
        label (int): Index of the class ``person``.
        input_size (tuple[int, int], optional): Scale of ``Resize`` in the test
            pipeline, [w, h] in pixels; ``None`` without a scale.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        ValueError: If the checkpoint lacks parameters of the detector or the names of
            its classes, or if ``person`` is not among them.

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
        checkpoint: str | Path | None,
        device: str | None = None,
        score_thr: float = 0.0,
        top_k: int = 100,
    ) -> None:
        self.score_thr, self.top_k = score_thr, top_k
        name = str(config)
        cfg = Config.fromfile(find_config(name))
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
        if checkpoint is not None:
            meta['classes'] = _classes(checkpoint, load_weights(self.model, checkpoint))
        if 'person' not in meta['classes']:
            raise ValueError(
                f"the detector of {name} has no class 'person', only "
                f'{", ".join(meta["classes"])}'
            )
        self.label = meta['classes'].index('person')

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
            (detections.labels == self.label)
            & (detections.scores >= self.score_thr)
            & valid_boxes(detections.bboxes)
        ]
        best = people[np.argsort(-people.scores, kind='stable')[: self.top_k]]
        return InstanceData(bboxes=best.bboxes, bbox_scores=best.scores)


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
