# SPDX-License-Identifier: Apache-2.0
"""Whether a training pipeline suits stage 2 of RMPE, checked without a sample."""

from collections.abc import Callable, Sequence

from mmpose.datasets.transforms import (
    GenerateTarget,
    GetBBoxCenterScale,
    PackPoseInputs,
    RandomBBoxTransform,
    RandomHalfBody,
    TopdownAffine,
)

from .ground_truth_window import SSTNBBoxCenterScale
from .pose_guided_proposal import PoseGuidedProposal
from .sstn_targets import GenerateSSTNTarget, PackSSTNInputs

Transform = Callable[[dict], dict | None]

# What must be in a pipeline, or may be, in this order: a transform, and the class that
# it must have for an SSTN.
STEPS = {
    PoseGuidedProposal: PoseGuidedProposal,
    GetBBoxCenterScale: SSTNBBoxCenterScale,
    RandomBBoxTransform: RandomBBoxTransform,
    TopdownAffine: TopdownAffine,
    GenerateTarget: GenerateSSTNTarget,
    PackPoseInputs: PackSSTNInputs,
}
OPTIONAL = (PoseGuidedProposal, RandomBBoxTransform)


def check_sstn_pipeline(transforms: Sequence[Transform]) -> None:
    """Raise an error if a pipeline cannot give the targets of an SSTN.

    Args:
        transforms (Sequence[Callable]): Transforms of a training pipeline, built.

    Raises:
        ValueError: If a transform is missing, is MMPose's instead of that for an SSTN,
            or in a place where it has no effect or a wrong one; if ``RandomHalfBody``
            moves the crop; or if ``TopdownAffine.use_udp`` does not suit the codec.
    """
    found = {step: [t for t in transforms if isinstance(t, step)] for step in STEPS}
    _check_classes(found)
    steps = [t for step in found for t in found[step]]
    in_pipeline = [t for t in transforms if any(t is step for step in steps)]
    if in_pipeline != steps:
        raise ValueError(
            f'train_pipeline: the order for an SSTN is {_names(steps)}, got '
            f'{_names(in_pipeline)}'
        )
    if any(isinstance(t, RandomHalfBody) and t.prob > 0 for t in transforms):
        raise ValueError(
            'train_pipeline: RandomHalfBody moves the crop to one half of the person '
            'on purpose, which an STN would learn to undo: set its prob=0.0'
        )
    (affine,), (target,) = found[TopdownAffine], found[GenerateTarget]
    if affine.use_udp != target.window.use_udp:
        raise ValueError(
            f'train_pipeline: TopdownAffine.use_udp must be {target.window.use_udp} '
            f'for the encoder {target.encoder_cfg}, got {affine.use_udp}'
        )


def _check_classes(found: dict[type, list[Transform]]) -> None:
    """Raise if a step is missing, repeated, or not the one for an SSTN."""
    for step, transforms in found.items():
        needed = STEPS[step].__name__
        wrong = [t for t in transforms if not isinstance(t, STEPS[step])]
        if wrong:
            raise ValueError(
                f'train_pipeline: an SSTN needs {needed} in place of '
                f'{type(wrong[0]).__name__}'
            )
        if len(transforms) > 1 or not (transforms or step in OPTIONAL):
            raise ValueError(
                f'train_pipeline: an SSTN needs one {needed}, got {len(transforms)}'
            )


def _names(transforms: Sequence[Transform]) -> str:
    """Names of transforms in their order."""
    return ', '.join(type(t).__name__ for t in transforms)
