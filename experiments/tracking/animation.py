# SPDX-License-Identifier: Apache-2.0
"""Animation of a video with the ids of its people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmpose.structures import PoseDataSample
from PIL import Image

from rmpe_plugin.apis import PoseDrawer

from .data import FPS, Poses

STEP, QUALITY = 2, 30


def write_animation(
    path: Path, images: Sequence[np.ndarray], tracked: Poses, dataset_meta: dict
) -> None:
    """Draw every second frame of a video with its tracked poses, as animated WebP.

    Args:
        path (Path): File to write.
        images (Sequence[np.ndarray]): Frames, BGR (H, W, 3), uint8.
        tracked (Poses): Poses with ``track_ids``.
        dataset_meta (dict): MMPose's description of the keypoints.
    """
    drawer = PoseDrawer(dataset_meta, color_by='id', boxes=False)
    drawings = []
    for image, poses in list(zip(images, tracked, strict=True))[::STEP]:
        poses = poses[poses.track_ids >= 0]
        drawing = drawer.draw(image, PoseDataSample(pred_instances=poses))
        drawings.append(Image.fromarray(drawing[..., ::-1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = drawings
    first.save(
        path,
        save_all=True,
        append_images=others,
        duration=round(1000 * STEP / FPS),
        loop=0,
        quality=QUALITY,
        method=6,
    )
