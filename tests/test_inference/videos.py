# SPDX-License-Identifier: Apache-2.0
"""Video files of any container."""

import cv2
import numpy as np


def write_video(path, codec, number=20, fps=25, size=(64, 48)):
    """Write a video of random rectangles."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    assert writer.isOpened()
    rng = np.random.default_rng(0)
    for _ in range(number):
        blocks = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        writer.write(cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path
