# SPDX-License-Identifier: Apache-2.0
"""Person detection with a detector of MMDetection."""

from collections.abc import Mapping
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

from .frame import Frame


class PersonDetector:
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
        >>> inputs = detector.prepare(image)  # doctest: +SKIP
        >>> (people,) = detector.detect([inputs])  # doctest: +SKIP
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
        with DefaultScope.overwrite_default_scope('mmdet'):
            # An explicit palette keeps MMDetection from building the test dataset.
            self.model = init_detector(
                cfg,
                None if checkpoint is None else str(checkpoint),
                palette='coco',
                device=device or get_device(),
            )
            _, *steps = get_test_pipeline_cfg(cfg)
            self.input_size = _input_size(steps)
            self.pipeline = Compose([dict(type='mmdet.LoadImageFromNDArray'), *steps])
        if checkpoint is not None:
            self._check(checkpoint)
        classes = self.model.dataset_meta['classes']
        if 'person' not in classes:
            raise ValueError(
                f"the detector of {name} has no class 'person', only "
                f'{", ".join(classes)}'
            )
        self.label = classes.index('person')

    def _check(self, checkpoint: str | Path) -> None:
        """Raise a ValueError where MMDetection only logs that a checkpoint is wrong."""
        meta = load_weights(self.model, checkpoint)
        # MMDetection 2 wrote meta['CLASSES'].
        names = {key.lower() for key in (*meta, *meta.get('dataset_meta', {}))}
        if 'classes' not in names:
            raise ValueError(
                f'{checkpoint} does not contain the names of the classes '
                "(meta.dataset_meta['classes']), got meta with "
                f'{", ".join(meta) or "no entries"}'
            )

    def detect_frames(self, frames: list[Frame]) -> dict[int | str, InstanceData]:
        """Detect people in a batch of frames.

        Args:
            frames (list[Frame]): The frames; those without an image are skipped. See
                :meth:`prepare_frame` for errors.

        Returns:
            dict[int | str, InstanceData]: The output of :meth:`detect` by image id.
        """
        prepared = {frame.image_id: self.prepare_frame(frame) for frame in frames}
        return self.detect_prepared(prepared)

    def detect_prepared(
        self, prepared: Mapping[int | str, dict | None]
    ) -> dict[int | str, InstanceData]:
        """Detect people in a batch of frames that are prepared already.

        Args:
            prepared (Mapping[int | str, dict | None]): Output of :meth:`prepare_frame`
                by image id.

        Returns:
            dict[int | str, InstanceData]: The output of :meth:`detect` by image id.
        """
        inputs = {i: x for i, x in prepared.items() if x is not None}
        people = self.detect(list(inputs.values()))
        return dict(zip(inputs, people, strict=True))

    def prepare_frame(self, frame: Frame) -> dict | None:
        """Run the test pipeline on a frame. It can run in several threads.

        Args:
            frame (Frame): The frame. If the test pipeline fails on its image, its
                ``image`` is set to ``None`` and its ``error`` to the reason.

        Returns:
            dict | None: Input of :meth:`detect`, or ``None`` without an image.
        """
        if frame.image is None:
            return None
        try:
            return self.prepare(frame.image)
        except cv2.error as error:
            # For example a strip that is 0 pixels high at the input size.
            frame.image = None
            frame.error = f"the detector's test pipeline failed: {error}"
            return None

    def prepare(self, image: np.ndarray) -> dict:
        """Run the test pipeline on an image.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8.

        Returns:
            dict: Input of :meth:`detect`.
        """
        # Without a default scope, which is global and would be shared by the threads.
        return self.pipeline(dict(img=image, img_id=0))

    @torch.no_grad()
    def detect(self, prepared: list[dict]) -> list[InstanceData]:
        """Detect people in a batch of images.

        Args:
            prepared (list[dict]): Output of :meth:`prepare` for each image.

        Returns:
            list[InstanceData]: For each image ``bboxes`` (N, 4), xyxy in pixels of the
            image, and ``bbox_scores`` (N,), sorted by decreasing score.
        """
        if not prepared:
            return []
        with DefaultScope.overwrite_default_scope('mmdet'):
            samples = self.model.test_step(pseudo_collate(prepared))
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


def _input_size(steps: list[dict]) -> tuple[int, int] | None:
    """Scale [w, h] of the first ``Resize`` of a pipeline; None without a scale."""
    resizes = [step for step in steps if step['type'] in ('Resize', 'mmdet.Resize')]
    scale = resizes[0].get('scale') if resizes else None
    return None if scale is None else tuple(scale)
