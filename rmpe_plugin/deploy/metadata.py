# SPDX-License-Identifier: Apache-2.0
"""What a user of an exported pose estimator needs to know, stored in the file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.config import Config

from rmpe_plugin.inference import CropGeometry
from rmpe_plugin.version import __version__

if TYPE_CHECKING:
    from mmpose.models import TopdownPoseEstimator


@dataclass(frozen=True)
class PoseMetadata:
    """Description of an exported pose estimator.

    Args:
        input_size (tuple[int, int]): Crop [w, h], pixels.
        color (str): Channel order of the crops, ``'bgr'`` or ``'rgb'``.
        crop_padding (float | tuple[float, float]): Factor by which a box is enlarged
            around its centre, or factors of width and height.
        crop_aspect_ratio (float): Width divided by height of the crop. The shorter side
            of the enlarged box is extended to it.
        crop_udp (bool): Whether the enlarged box reaches from the centre of the first
            to the centre of the last pixel of the crop, as with
            ``TopdownAffine(use_udp=True)``, instead of from border to border.
        dataset_name (str): MMPose's name of the keypoint definition.
        keypoint_names (tuple[str, ...]): Names of the K keypoints.
        flip_indices (tuple[int, ...]): Index of each keypoint in a mirrored image.
        skeleton (tuple[tuple[int, int], ...]): Pairs of keypoints to be connected.
        keypoint_colors (tuple): RGB colours of the keypoints.
        skeleton_colors (tuple): RGB colours of the skeleton.
        sigmas (tuple[float, ...]): COCO's constants of the keypoints.
        config (str): Name of the config.
        version (str): Version of this package.
    """

    input_size: tuple[int, int]
    color: str
    crop_padding: float | tuple[float, float]
    crop_aspect_ratio: float
    crop_udp: bool
    dataset_name: str
    keypoint_names: tuple[str, ...]
    flip_indices: tuple[int, ...]
    skeleton: tuple[tuple[int, int], ...]
    keypoint_colors: tuple[tuple[int, int, int], ...]
    skeleton_colors: tuple[tuple[int, int, int], ...]
    sigmas: tuple[float, ...]
    config: str
    version: str

    @classmethod
    def of_model(
        cls, model: 'TopdownPoseEstimator', config: Config, color: str
    ) -> 'PoseMetadata':
        """Collect the metadata of a model.

        Args:
            model (TopdownPoseEstimator): A model with ``dataset_meta``, as
                :func:`rmpe_plugin.apis.load_pose_estimator` returns it.
            config (Config): Its config; the test pipeline crops.
            color (str): Channel order of the crops.

        Returns:
            PoseMetadata: The metadata.

        Raises:
            ValueError: See :meth:`CropGeometry.of_pipeline`.
        """
        meta = model.dataset_meta
        steps = config.test_dataloader.dataset.pipeline
        crop = CropGeometry.of_pipeline(steps, model.head.decoder)
        names = meta['keypoint_id2name']
        width, height = crop.input_size
        return cls(
            input_size=(width, height),
            color=color,
            crop_padding=crop.padding,
            crop_aspect_ratio=width / height,
            crop_udp=crop.udp,
            dataset_name=meta['dataset_name'],
            keypoint_names=tuple(names[i] for i in range(len(names))),
            flip_indices=tuple(meta['flip_indices']),
            skeleton=tuple(map(tuple, meta['skeleton_links'])),
            keypoint_colors=_numbers(meta.get('keypoint_colors')),
            skeleton_colors=_numbers(meta.get('skeleton_link_colors')),
            sigmas=_numbers(meta.get('sigmas')),
            config=Path(config.filename or '').name,
            version=__version__,
        )

    def to_properties(self) -> dict[str, str]:
        """Convert to the metadata properties of an ONNX file, JSON by name."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> 'PoseMetadata':
        """Read the metadata properties of an ONNX file.

        Args:
            properties (Mapping[str, str]): JSON by name.

        Returns:
            PoseMetadata: The metadata.

        Raises:
            ValueError: If a property is missing or not valid JSON, or if the file is of
                an earlier version, whose scores were not in [0, 1].
        """
        if 'score_range' in properties:
            raise ValueError(
                'its scores are not in [0, 1], as an earlier version of rmpe_plugin '
                'exported it (metadata score_range): export it again'
            )
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in properties]
        if missing:
            raise ValueError(
                f'metadata {", ".join(missing)} missing, got '
                f'{", ".join(properties) or "no metadata"}'
            )
        return cls(**{name: json.loads(properties[name]) for name in names})

    @property
    def dataset_meta(self) -> dict:
        """MMPose's description of the keypoints."""
        return dict(
            dataset_name=self.dataset_name,
            num_keypoints=len(self.keypoint_names),
            keypoint_id2name=dict(enumerate(self.keypoint_names)),
            keypoint_name2id={name: i for i, name in enumerate(self.keypoint_names)},
            flip_indices=list(self.flip_indices),
            skeleton_links=[tuple(link) for link in self.skeleton],
            keypoint_colors=np.array(self.keypoint_colors),
            skeleton_link_colors=np.array(self.skeleton_colors),
            sigmas=np.array(self.sigmas),
        )

    def to_input(self, images: np.ndarray, dtype: str) -> np.ndarray:
        """Convert crops of the pipeline to the input of the file.

        Args:
            images (np.ndarray): Crops (B, 3, h, w), BGR, uint8.
            dtype (str): Type of the input, ``'uint8'`` or ``'float32'``.

        Returns:
            np.ndarray: Crops (B, 3, h, w) in the order of :attr:`color`.
        """
        if self.color == 'rgb':
            images = images[:, ::-1]
        return np.ascontiguousarray(images, dtype)

    @property
    def geometry(self) -> CropGeometry:
        """How a box is cropped."""
        return CropGeometry(tuple(self.input_size), self.crop_padding, self.crop_udp)


def _numbers(array: np.ndarray | None) -> tuple:
    """Convert an array to tuples for JSON."""
    values = [] if array is None else np.asarray(array).tolist()
    return tuple(tuple(x) if isinstance(x, list) else x for x in values)
