# SPDX-License-Identifier: Apache-2.0
"""People's boxes from a detector of MMDetection."""

from pathlib import Path

import cv2
import mmdet.models  # noqa: F401
import numpy as np
import torch
from mmdet.apis import init_detector
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from .frames import Frame


class PersonDetector:
    """A detector of MMDetection of which people alone are kept.

    Args:
        config (str | Path): Config file, or one that MMDetection ships, such as
            ``'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'``.
        checkpoint (str | Path, optional): Its weights, a file or an address. ``None``
            leaves it untrained, to time it.
        device (str, optional): Defaults to ``None``, CUDA where there is one.
        score_thr (float): Boxes that score less are left out. Defaults to 0.
        top_k (int): The best so many of an image are kept. Defaults to 100.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        ValueError: If ``person`` is none of its classes.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path | None,
        device: str | None = None,
        score_thr: float = 0.0,
        top_k: int = 100,
    ) -> None:
        config = str(config)
        checkpoint = checkpoint and str(checkpoint)
        self.score_thr, self.top_k = score_thr, top_k
        cfg = get_config(config) if '::' in config else Config.fromfile(config)
        if device is None:
            device = default_device()
        # A palette that is given keeps MMDetection from building the test data set.
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.model = init_detector(cfg, checkpoint, palette='coco', device=device)
            load, *steps = get_test_pipeline_cfg(cfg)
            self.pipeline = Compose([dict(type='mmdet.LoadImageFromNDArray'), *steps])
        classes = self.model.dataset_meta['classes']
        if 'person' not in classes:
            raise ValueError(
                f'the detector of {config} knows no person, only {", ".join(classes)}'
            )
        self.label = classes.index('person')

    def find(self, frames: list[Frame]) -> dict[int | str, InstanceData]:
        """Find people in a batch of frames.

        Args:
            frames (list[Frame]): Those without an image are passed over. One that the
                test pipeline refuses loses its image and gets an ``error``.

        Returns:
            dict[int | str, InstanceData]: For each image id what :meth:`detect` gives.
        """
        prepared = {}
        for frame in frames:
            try:
                if frame.image is not None:
                    prepared[frame.image_id] = self.prepare(frame.image)
            except cv2.error as error:
                # a strip of a picture, of which nothing is left at the network's size
                frame.image, frame.error = None, f'the detector refuses it: {error}'
        found = self.detect(list(prepared.values()))
        return dict(zip(prepared, found, strict=True))

    def prepare(self, image: np.ndarray) -> dict:
        """Run an image through the test pipeline.

        Args:
            image (np.ndarray): BGR (H, W, 3), uint8.

        Returns:
            dict: What :meth:`detect` takes.
        """
        with DefaultScope.overwrite_default_scope('mmdet'):
            return self.pipeline(dict(img=image, img_id=0))

    @torch.no_grad()
    def detect(self, prepared: list[dict]) -> list[InstanceData]:
        """Find people in a batch of images.

        Args:
            prepared (list[dict]): Of each image, what :meth:`prepare` gave.

        Returns:
            list[InstanceData]: Of each image ``bboxes`` (N, 4), xyxy pixels, and
            ``bbox_scores`` (N,), best first.
        """
        if not prepared:
            return []
        with DefaultScope.overwrite_default_scope('mmdet'):
            samples = self.model.test_step(pseudo_collate(prepared))
        return [self._people(sample.pred_instances) for sample in samples]

    def _people(self, found: InstanceData) -> InstanceData:
        """The people among what was found."""
        found = found.cpu().numpy()
        sides = found.bboxes[:, 2:] - found.bboxes[:, :2]
        found = found[
            (found.labels == self.label)
            & (found.scores >= self.score_thr)
            & (sides > 0).all(axis=1)
        ]
        best = found[np.argsort(-found.scores, kind='stable')[: self.top_k]]
        return InstanceData(bboxes=best.bboxes, bbox_scores=best.scores)


def default_device() -> str:
    """Where models run if nobody says.

    Returns:
        str: ``'cuda'`` where there is one, or else ``'cpu'``.
    """
    return 'cuda' if torch.cuda.is_available() else 'cpu'
