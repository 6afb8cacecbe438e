# SPDX-License-Identifier: Apache-2.0
"""The crop of a test pipeline, as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rmpe_plugin.ops import crop_matrices

if TYPE_CHECKING:
    from mmpose.codecs.base import BaseKeypointCodec

LOADERS = {'LoadImage', 'LoadIntactImage'}
# Transforms that enlarge the box, with their default padding.
PADDINGS = dict(GetBBoxCenterScale=1.25, CPNBBoxCenterScale=(1.2, 1.3))
STANDARD = (
    'LoadImage or LoadIntactImage, GetBBoxCenterScale or CPNBBoxCenterScale, '
    'TopdownAffine and PackPoseInputs'
)


@dataclass(frozen=True)
class CropGeometry:
    """How a test pipeline crops a box.

    Args:
        input_size (tuple[int, int]): Size (w, h) of the crop, pixels.
        padding (float | tuple[float, float]): Factor by which the box is enlarged, or
            factors of width and height.
        udp (bool): See :func:`rmpe_plugin.ops.crop_matrices`. Defaults to ``False``.
    """

    input_size: tuple[int, int]
    padding: float | tuple[float, float]
    udp: bool = False

    @classmethod
    def of_pipeline(
        cls, steps: Sequence[Mapping], codec: 'BaseKeypointCodec'
    ) -> 'CropGeometry':
        """Read the geometry from a test pipeline.

        Args:
            steps (Sequence[Mapping]): ``test_dataloader.dataset.pipeline`` of a config.
            codec (BaseKeypointCodec): The codec, which the crop must fit.

        Returns:
            CropGeometry: The geometry.

        Raises:
            ValueError: If the pipeline has other transforms than ``LoadImage``,
                ``GetBBoxCenterScale`` or ``CPNBBoxCenterScale``, ``TopdownAffine`` and
                ``PackPoseInputs``, or does not fit the codec.
        """
        names = [_name(step) for step in steps]
        if not _is_standard(names):
            raise ValueError(
                f'test_dataloader.dataset.pipeline must be {STANDARD}, got '
                f'{", ".join(names)}'
            )
        _, box, affine, _ = steps
        padding = box.get('padding', PADDINGS[names[1]])
        geometry = cls(
            input_size=tuple(affine['input_size']),
            padding=padding if isinstance(padding, (int, float)) else tuple(padding),
            udp=affine.get('use_udp', False),
        )
        geometry._check_fits(codec)
        return geometry

    def _check_fits(self, codec: 'BaseKeypointCodec') -> None:
        """Raise a ValueError if crop and codec use different pixels."""
        from rmpe_plugin.codecs import crop_pixels

        if self.udp != bool((crop_pixels(codec) != 1).any()):
            raise ValueError(
                f'TopdownAffine.use_udp={self.udp} in the test pipeline does not fit '
                f'the codec {type(codec).__name__}: the crop and the keypoints would '
                'be shifted'
            )
        if self.input_size != tuple(codec.input_size):
            raise ValueError(
                f'TopdownAffine.input_size is {self.input_size}, '
                f'model.head.decoder.input_size {tuple(codec.input_size)}'
            )

    def matrices(self, bboxes: np.ndarray) -> np.ndarray:
        """Compute the affine maps from pixels of the crops to pixels of the images.

        Args:
            bboxes (np.ndarray): Boxes (N, 4), xyxy, pixels.

        Returns:
            np.ndarray: Affine matrices (N, 2, 3), float64.
        """
        return crop_matrices(bboxes, self.input_size, self.padding, self.udp)


def _is_standard(names: Sequence[str]) -> bool:
    """Whether the transforms of these names are of the standard form."""
    if len(names) != 4:
        return False
    load, box, *others = names
    return (
        load in LOADERS
        and box in PADDINGS
        and others == ['TopdownAffine', 'PackPoseInputs']
    )


def _name(step: Mapping) -> str:
    """Name of a transform, without the scope of its registry."""
    kind = step['type']
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[-1]
