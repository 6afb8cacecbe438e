# SPDX-License-Identifier: Apache-2.0
"""A model without networks, whose poses depend on the pixels."""

import ctypes
import os
import time
from dataclasses import dataclass

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from PIL import Image

from rmpe_plugin.apis import PoseResult
from rmpe_plugin.inference import Frames
from rmpe_plugin.jobs import Engine, PoseModel, PoseWorker

#: Widths of images that end the process, and that make the networks fail.
CRASHES, FAILS = 13, 14
KEYPOINTS = 3


@dataclass
class StubModel(PoseModel):
    """Settings of the stub.

    Args:
        seed (int): A setting of the job.
        delay (float): Seconds per frame.
        broken (bool): Whether every frame fails.
        log (str): File that gets a line with the process for each frame.
    """

    seed: int = 0
    delay: float = 0.0
    broken: bool = False
    log: str = ''

    def settings(self):
        return dict(seed=self.seed)

    def load(self):
        return StubInferencer(self)


class StubInferencer:
    """As many people as the first pixel says."""

    dataset_meta = dict(keypoint_id2name=dict(enumerate(['a', 'b', 'c'])))

    def __init__(self, model):
        self.model = model

    def __call__(self, inputs):
        for read in Frames(inputs).reads():
            frame = read()
            if self.model.log:
                with open(self.model.log, 'a') as file:
                    file.write(f'{os.getpid()} {frame.name}\n')
            time.sleep(self.model.delay)
            yield PoseResult(frame, PoseDataSample(pred_instances=self.people(frame)))

    def people(self, frame):
        number = 0
        if frame.image is not None:
            width, number = frame.image.shape[1], int(frame.image[0, 0, 0])
            if width == CRASHES:
                # A signal of os.kill may reach another thread, and this one goes on.
                ctypes.string_at(0)
            if width == FAILS or self.model.broken:
                raise RuntimeError('the networks fail')
        return poses(number)


def poses(number, seed=0):
    """Poses of some people."""
    rng = np.random.default_rng(seed + number)
    return InstanceData(
        keypoints=rng.random((number, KEYPOINTS, 2), np.float32),
        keypoint_scores=rng.random((number, KEYPOINTS), np.float32),
        bboxes=rng.random((number, 4), np.float32),
        scores=rng.random(number, np.float32),
    )


class InlineEngine(Engine):
    """One worker in this process."""

    def run(self, units, make_worker):
        worker: PoseWorker = make_worker()
        for unit in units:
            yield worker.process(unit)


def write_images(folder, people, width=16):
    """Write an image for each number of people, ``0000.png`` and so on.

    Returns:
        list[str]: The paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f'{i:04}.png') for i in range(len(people))]
    for path, number in zip(paths, people, strict=True):
        write_image(path, number, width)
    return paths


def write_image(path, people, width=16):
    """Write an image with a number of people."""
    Image.new('RGB', (width, 16), (people,) * 3).save(path)


def write_video(path, people):
    """Write a video with a number of people in each frame, without loss."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'FFV1'), 10, (32, 32))
    for number in people:
        writer.write(np.full((32, 32, 3), number, np.uint8))
    writer.release()
