# SPDX-License-Identifier: Apache-2.0
"""Animation of a video with its poses in two and three dimensions."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from mmpose.datasets.datasets import Human36mDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rmpe_plugin.apis import Frames

# Every second frame of at most five seconds.
STEP, FRAMES = 2, 125
REACH = 0.9  # of the axes around the pelvis, metres


def write_animation(
    path: Path,
    video: Path,
    detections: np.ndarray,
    predicted: np.ndarray,
    expected: np.ndarray,
) -> None:
    """Draw a video with its poses as GIF.

    Args:
        path (Path): File to write.
        video (Path): The video.
        detections (np.ndarray): Poses (F, 17, 3): x, y in pixels and score.
        predicted (np.ndarray): Lifted joints (F, 17, 3) in camera axes, metres.
        expected (np.ndarray): Ground-truth joints (F, 17, 3).
    """
    images = [frame.image for frame in Frames(video)][:FRAMES]
    links = parse_pose_metainfo(Human36mDataset.METAINFO)['skeleton_links']
    figure = plt.figure(figsize=(7.2, 2.4), dpi=80, layout='constrained')
    image_axes = figure.add_subplot(1, 3, 1)
    axes = [figure.add_subplot(1, 3, i, projection='3d') for i in (2, 3)]

    def draw(frame: int) -> None:
        image_axes.clear()
        image_axes.imshow(images[frame][..., ::-1])
        image_axes.set_axis_off()
        image_axes.set_title("CPN's pose", fontsize=9)
        for i, j in links:
            x, y = detections[frame, [i, j], :2].T
            image_axes.plot(x, y, color='white', linewidth=1)
        titles = ('lifted', 'ground truth')
        for one, joints, title in zip(axes, (predicted, expected), titles, strict=True):
            draw_skeleton(one, joints[frame], links)
            one.set_title(title, fontsize=9)

    animation = FuncAnimation(figure, draw, range(0, len(images), STEP))
    path.parent.mkdir(parents=True, exist_ok=True)
    animation.save(path, PillowWriter(fps=12))
    plt.close(figure)


def draw_skeleton(axes: Axes, joints: np.ndarray, links: list) -> None:
    """Draw joints (17, 3) in camera axes around the pelvis, upright."""
    axes.clear()
    x, y, z = (joints - joints[0]).T
    for i, j in links:
        side = 'tab:red' if {i, j} & {1, 2, 3, 14, 15, 16} else 'tab:blue'
        axes.plot(x[[i, j]], z[[i, j]], -y[[i, j]], color=side, linewidth=1.5)
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), zlim=(-REACH, REACH))
    axes.set(xticklabels=[], yticklabels=[], zticklabels=[])
    axes.view_init(elev=12, azim=-60)
