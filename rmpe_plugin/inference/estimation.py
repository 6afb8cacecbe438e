# SPDX-License-Identifier: Apache-2.0
"""From images and boxes to poses: crops and graph, batch after batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from .core_pool import CorePool
from .people_cropper import Images, PeopleCropper


def estimate_poses(
    graph: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    cropper: PeopleCropper,
    images: Images,
    people: Sequence[InstanceData],
    batch_size: int,
    cores: CorePool | None = None,
) -> InstanceData:
    """Estimate the poses of the people of several images.

    Args:
        graph (Callable): :class:`PoseGraph`, or another function of crops (B, 3, h, w)
            and of matrices (B, 2, 3) to pixels of the images, that returns keypoints
            (B, K, 2) in pixels of the images and scores (B, K).
        cropper (PeopleCropper): Makes the crops and the matrices.
        images (Images): BGR (H, W, 3), uint8, or ``None`` if there are no boxes.
        people (Sequence[InstanceData]): ``bboxes`` (N, 4), xyxy, of each image; at
            least one box in total.
        batch_size (int): Maximum number of people per batch.
        cores (CorePool, optional): Threads that share each batch. Defaults to ``None``:
            the calling thread computes one batch after another, for GPUs.

    Returns:
        InstanceData: The T people of all images, one image after another:
        ``keypoints`` (T, K, 2), pixels of the images, and ``keypoint_scores`` and
        ``keypoints_visible`` (T, K) in [0, 1].
    """
    bboxes = [boxes.bboxes for boxes in people]
    run: Callable = _run_in_turn
    if cores is not None:
        batch_size = cores.share(sum(map(len, bboxes)), batch_size)
        run = cores.run

    def estimate(crop: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
        """Keypoints and scores (B, K, 3) of a batch."""
        keypoints, scores = graph(*crop())
        return torch.cat((keypoints, scores[..., None]), dim=-1)

    batches = cropper.batches(images, bboxes, batch_size)
    estimated = run(partial(estimate, crop) for crop in batches)
    # The only synchronisation with the device.
    poses = torch.cat(list(estimated)).cpu().numpy()
    return pose_instances(poses[..., :2], poses[..., 2])


def _run_in_turn(tasks: Iterable[Callable[[], Tensor]]) -> Iterator[Tensor]:
    """Run tasks in the calling thread."""
    return (task() for task in tasks)


def pose_instances(keypoints: np.ndarray, scores: np.ndarray) -> InstanceData:
    """Put keypoints (T, K, 2) and their scores (T, K) in MMPose's format.

    ``keypoints_visible``, which MMPose's visualizer reads, equals the scores.
    """
    return InstanceData(
        keypoints=keypoints, keypoint_scores=scores, keypoints_visible=scores
    )
