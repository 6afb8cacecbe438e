# SPDX-License-Identifier: Apache-2.0
"""The model of a job, which every worker loads for itself."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rmpe_plugin.apis import (
    WHOLE_IMAGE,
    RMPEInferencer,
    find_detector,
    find_model,
    load_detector,
)
from rmpe_plugin.apis.pose_estimator import load_config
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.utils.download import cached_file, load_from_http
from rmpe_plugin.utils.files import file_digest
from rmpe_plugin.utils.packages import find_in_package


@dataclass
class PoseModel:
    """Names and settings of :class:`rmpe_plugin.apis.RMPEInferencer`.

    Args:
        config (str): See :class:`RMPEInferencer`. Defaults to ``'photo'``.
        checkpoint (str, optional): Defaults to ``None``: the weights in the index.
        detector (str): See :func:`rmpe_plugin.apis.load_detector`. Defaults to
            ``'person'``.
        detector_checkpoint (str, optional): Defaults to ``None``: those in the index.
        box_thr (float, optional): Boxes with a lower score are dropped. Defaults to
            ``None``: 0.35 for ``'person'``, 0.3 for others.
        min_box_area (float, optional): Boxes with a smaller area in square pixels are
            dropped. Defaults to ``None``.
        tiles (bool): Whether to detect in four overlapping tiles too. Defaults to
            ``False``.
        pose_nms (dict | str, optional): Defaults to ``'alphapose-coco'``.
        score_mode (str): Defaults to ``'bbox_keypoint'``.
        track (str, optional): Tracker that gives the people in a video ids. Images are
            not tracked. Defaults to ``None``: no ids.
        det_every (int): With the tracker ``'pose'``, frames from one detection to the
            next one. Defaults to 1.
        smooth (bool): Whether to smooth the keypoints of tracked people. Defaults to
            ``False``.
        precision (str): Defaults to ``'float32'``.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.
        device (str, optional): Defaults to ``None``: CUDA if available.
        image_batch (int): Images that are processed together. Defaults to 8.
        person_batch (int): Batch size of the pose estimator. Defaults to 32.

    Raises:
        OSError: If a file of pose NMS does not exist.
        ValueError: If a parameter of pose NMS is invalid.

    Example:
        >>> model = PoseModel('photo')  # doctest: +SKIP
        >>> model.load()('photograph.jpg')  # doctest: +SKIP
    """

    config: str = 'photo'
    checkpoint: str | None = None
    detector: str = 'person'
    detector_checkpoint: str | None = None
    box_thr: float | None = None
    min_box_area: float | None = None
    tiles: bool = False
    pose_nms: dict | str | None = DEFAULT_PRESET
    score_mode: str = 'bbox_keypoint'
    track: str | None = None
    det_every: int = 1
    smooth: bool = False
    precision: str = 'float32'
    cfg_options: dict | None = None
    device: str | None = None
    image_batch: int = 8
    person_batch: int = 32

    def __post_init__(self) -> None:
        # Workers may start in another folder.
        for name in ('config', 'checkpoint', 'detector', 'detector_checkpoint'):
            value = getattr(self, name)
            if value is not None:
                is_file = Path(value).is_file()
                setattr(self, name, str(Path(value).resolve() if is_file else value))
        if self.pose_nms is not None:
            self.pose_nms = asdict(PoseNMSParams.from_config(self.pose_nms))

    def load(self) -> RMPEInferencer:
        """Load the networks.

        Returns:
            RMPEInferencer: The inferencer.

        Raises:
            OSError: See :class:`RMPEInferencer`.
            ValueError: See :class:`RMPEInferencer`.
        """
        detector = load_detector(
            self.detector,
            self.detector_checkpoint,
            device=self.device,
            score_thr=self.box_thr,
            tiles=self.tiles,
            min_box_area=self.min_box_area,
        )
        return RMPEInferencer(
            self.config,
            self.checkpoint,
            detector,
            device=self.device,
            precision=self.precision,
            pose_nms=self.pose_nms,
            score_mode=self.score_mode,
            image_batch=self.image_batch,
            person_batch=self.person_batch,
            track=self.track,
            det_every=self.det_every,
            smooth=self.smooth,
            cfg_options=self.cfg_options,
        )

    def settings(self) -> dict:
        """All that the poses depend on; batch sizes and the device only round them.

        Returns:
            dict: JSON types. Models are given by the SHA-256 of weights and config, not
            by their names.

        Raises:
            OSError: If a file does not exist, or weights cannot be downloaded.
            ValueError: If no model has the name.
        """
        pose = find_model(self.config, self.checkpoint)
        detector = None
        if self.detector != WHOLE_IMAGE:
            found = find_detector(self.detector, self.detector_checkpoint)
            detector = _digests(found.config, found.weights)
        return dict(
            model=_digests(pose.config, pose.weights, self.cfg_options),
            detector=detector or WHOLE_IMAGE,
            box_thr=self.box_thr,
            min_box_area=self.min_box_area,
            tiles=self.tiles,
            pose_nms=self.pose_nms,
            score_mode=self.score_mode,
            track=self.track,
            det_every=self.det_every,
            smooth=self.smooth,
            precision=self.precision,
        )


def _digests(
    config: Path, weights: str | Path | None, cfg_options: dict | None = None
) -> dict[str, str]:
    """SHA-256 of the weights and the config of a model; an ONNX file has both."""
    if config.suffix == '.onnx':
        return dict(weights=file_digest(config))
    if weights is None:
        raise ValueError(f'the checkpoint of {config} is missing')
    content = load_config(config, cfg_options).to_dict()
    text = json.dumps(content, sort_keys=True, default=repr)
    return dict(
        weights=file_digest(_local(str(weights))),
        config=hashlib.sha256(text.encode()).hexdigest(),
    )


def _local(weights: str) -> Path:
    """The file of weights, which is downloaded if it has an address."""
    if weights.startswith('package://'):
        return find_in_package(weights)
    if weights.startswith(('http://', 'https://')):
        if not cached_file(weights).is_file():
            load_from_http(weights)
        return cached_file(weights)
    return Path(weights)
