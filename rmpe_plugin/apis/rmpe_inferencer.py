# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.apis import init_model
from mmpose.structures import PoseDataSample

from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.structures import SCORE_MODES, person_scores, suppress_poses

from .boxes import Boxes, boxes_by_image, nobody
from .frames import Frame, Frames, Inputs
from .person_detector import PersonDetector, default_device

WHOLE_IMAGE = 'whole_image'


class Posed(NamedTuple):
    """A picture and the people in it.

    Attributes:
        frame (Frame): The picture; its ``error`` says why, if it could not be done.
        poses (PoseDataSample): ``pred_instances`` has ``keypoints`` (N, K, 2) in
            pixels of the picture, ``keypoint_scores`` (N, K), ``bboxes`` (N, 4), xyxy,
            ``bbox_scores`` (N,) and ``scores`` (N,), most confident first.
    """

    frame: Frame
    poses: PoseDataSample


class RMPEInferencer:
    """Pictures in, people's poses out: detector, pose estimator and pose NMS.

    Any top-down model of MMPose, with the test pipeline of its config. Nobody found
    gives no pose.

    Args:
        config (str | Path | Config): Config of the pose estimator.
        checkpoint (str | Path, optional): Its weights, a file or an address. ``None``
            leaves it untrained, to time it.
        detector (PersonDetector | str, optional): Who finds the people, or
            ``'whole_image'``, one person as large as the image. Defaults to ``None``:
            boxes are given in each call.
        device (str, optional): Defaults to ``None``, CUDA where there is one.
        pose_nms (dict | str, optional): Parameters of
            :class:`rmpe_plugin.ops.PoseNMSParams`, the name of a preset, or the path
            of a JSON file; ``None`` keeps every pose. Defaults to ``'rmpe-paper'``.
        score_mode (str): How people are scored, see
            :func:`rmpe_plugin.structures.person_scores`. Defaults to
            ``'bbox_keypoint'``.
        image_batch (int): How many images the detector sees at once. Defaults to 4.
        person_batch (int): How many people, of all these images, the pose estimator
            sees at once. Defaults to 32.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.

    Raises:
        ValueError: If a setting makes no sense.

    Example:
        >>> from rmpe_plugin.apis import PersonDetector, RMPEInferencer
        >>> detector = PersonDetector(det_config, det_checkpoint)  # doctest: +SKIP
        >>> inferencer = RMPEInferencer(config, checkpoint, detector)  # doctest: +SKIP
        >>> for posed in inferencer('photographs/'):  # doctest: +SKIP
        ...     print(posed.frame.name, posed.poses.pred_instances.keypoints)
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None,
        detector: PersonDetector | str | None = None,
        *,
        device: str | None = None,
        pose_nms: dict | str | None = 'rmpe-paper',
        score_mode: str = 'bbox_keypoint',
        image_batch: int = 4,
        person_batch: int = 32,
        cfg_options: dict | None = None,
    ) -> None:
        if isinstance(detector, str) and detector != WHOLE_IMAGE:
            raise ValueError(
                f'detector must be a PersonDetector, {WHOLE_IMAGE!r} or None, got '
                f'{detector!r}'
            )
        if score_mode not in SCORE_MODES:
            raise ValueError(
                f'score_mode must be one of {[*SCORE_MODES]}, got {score_mode!r}'
            )
        for name, value in (
            ('image_batch', image_batch),
            ('person_batch', person_batch),
        ):
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        self.detector = detector
        self.score_mode = score_mode
        self.image_batch, self.person_batch = image_batch, person_batch
        self.pose_nms = None
        if pose_nms is not None:
            self.pose_nms = PoseNMSParams.from_config(pose_nms)

        given = isinstance(config, Config)
        config = config.copy() if given else Config.fromfile(config)
        config.merge_from_dict(cfg_options or {})
        if config.get('data_mode', 'topdown') != 'topdown':
            raise ValueError(
                f"config.data_mode must be 'topdown', got {config.data_mode!r}"
            )
        if device is None:
            device = default_device()
        with DefaultScope.overwrite_default_scope('mmpose'):
            self.model = init_model(
                config, checkpoint and str(checkpoint), device=device
            )
            self.pipeline = Compose(config.test_dataloader.dataset.pipeline)

    @property
    def dataset_meta(self) -> dict:
        """The keypoints that the model was trained on, as MMPose describes them."""
        return self.model.dataset_meta

    def __call__(
        self, inputs: Inputs | Frames, boxes: Boxes | None = None
    ) -> Iterator[Posed]:
        """Find poses, picture by picture.

        Args:
            inputs (Inputs | Frames): See :class:`Frames`.
            boxes (Boxes, optional): Who is where, in place of a detector: the path of
                a JSON of COCO results, or for each image id (see
                :func:`~rmpe_plugin.apis.frames.image_id_of`), or for each picture in
                order, an array (N, 5) of xyxy boxes and scores, or (N, 4), whose
                scores are 1. Defaults to ``None``.

        Returns:
            Iterator[Posed]: One for each picture, in order. What cannot be read has an
            ``error`` and no poses.

        Raises:
            ValueError: If there is neither a detector nor boxes, or both; if a box
                makes no sense, or none belongs to any picture.
        """
        frames = inputs if isinstance(inputs, Frames) else Frames(inputs)
        if (boxes is None) == (self.detector is None):
            raise ValueError(
                'people come either from the detector or from the boxes that are '
                f'given; got {"neither" if boxes is None else "both"}'
            )
        if boxes is not None:
            boxes = boxes_by_image(boxes, frames)
        return self._run(iter(frames), boxes)

    def _run(self, frames: Iterator[Frame], boxes: Mapping | None) -> Iterator[Posed]:
        """Work through the frames, a batch at a time."""
        while batch := list(islice(frames, self.image_batch)):
            people = self.find(batch, boxes)
            for frame, poses in zip(batch, self.estimate(batch, people), strict=True):
                yield Posed(frame, self.suppress(frame, poses))

    def find(
        self, frames: list[Frame], boxes: Mapping | None = None
    ) -> list[InstanceData]:
        """Find the people of each frame; nobody where there is no image.

        Args:
            frames (list[Frame]): Pictures.
            boxes (Mapping, optional): For each image id its people. Defaults to
                ``None``: the detector looks for them.

        Returns:
            list[InstanceData]: Of each picture ``bboxes`` (N, 4), xyxy, and
            ``bbox_scores`` (N,).
        """
        if boxes is None:
            whole = self.detector == WHOLE_IMAGE
            boxes = _whole_images(frames) if whole else self.detector.find(frames)
        return [
            nobody() if frame.image is None else boxes.get(frame.image_id, nobody())
            for frame in frames
        ]

    def crops(self, frames: list[Frame], people: list[InstanceData]) -> Iterator[dict]:
        """Cut the people out, through the pose estimator's test pipeline.

        Args:
            frames (list[Frame]): Pictures.
            people (list[InstanceData]): Of each its ``bboxes`` and ``bbox_scores``.

        Yields:
            dict: What the model takes for one person.
        """
        for frame, found in zip(frames, people, strict=True):
            for box, score in zip(found.bboxes, found.bbox_scores, strict=True):
                yield self.pipeline(
                    dict(
                        self.dataset_meta,
                        img=frame.image,
                        bbox=box[None].astype(np.float32),
                        bbox_score=score[None].astype(np.float32),
                    )
                )

    @torch.no_grad()
    def estimate(
        self, frames: list[Frame], people: list[InstanceData]
    ) -> list[InstanceData]:
        """Estimate the pose of each person, before pose NMS.

        Args:
            frames (list[Frame]): Pictures.
            people (list[InstanceData]): Of each its ``bboxes`` and ``bbox_scores``.

        Returns:
            list[InstanceData]: Of each picture its poses, in order of the boxes.
        """
        crops, poses = self.crops(frames, people), []
        while batch := list(islice(crops, self.person_batch)):
            samples = self.model.test_step(pseudo_collate(batch))
            poses += [sample.pred_instances for sample in samples]
        poses = iter(poses)
        return [self._together(list(islice(poses, len(found)))) for found in people]

    def _together(self, poses: list[InstanceData]) -> InstanceData:
        """The poses of one picture, scored; none if there are none."""
        if poses:
            together = InstanceData.cat(poses)
        else:
            number = self.dataset_meta['num_keypoints']
            together = nobody()
            together.keypoints = np.zeros((0, number, 2), np.float32)
            together.keypoint_scores = np.zeros((0, number), np.float32)
        together.scores = person_scores(together, self.score_mode)
        return together

    def suppress(self, frame: Frame, poses: InstanceData) -> PoseDataSample:
        """Put the most confident pose first, and apply pose NMS.

        Args:
            frame (Frame): A picture.
            poses (InstanceData): Its poses, as :meth:`estimate` gives them.

        Returns:
            PoseDataSample: With the poses that stay as ``pred_instances``.
        """
        sample = PoseDataSample(
            metainfo=dict(img_id=frame.image_id, img_path=frame.name)
        )
        sample.pred_instances = poses[np.argsort(-poses.scores, kind='stable')]
        if self.pose_nms is None or not len(poses):
            return sample
        return suppress_poses(sample, self.pose_nms, sample.pred_instances.scores)


def _whole_images(frames: list[Frame]) -> dict[int | str, InstanceData]:
    """For each image id one person as large as the image."""
    readable = [frame for frame in frames if frame.image is not None]
    return {
        frame.image_id: InstanceData(
            bboxes=np.array([[0, 0, *frame.image.shape[1::-1]]], np.float32),
            bbox_scores=np.ones(1, np.float32),
        )
        for frame in readable
    }
