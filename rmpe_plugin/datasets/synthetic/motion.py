# SPDX-License-Identifier: Apache-2.0
"""Videos of one body in motion, with its joints in three dimensions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from .body import Body, Pose, build_body, sample_pose
from .canvas import Canvas
from .figure import Figure, draw_figure, sample_clothes
from .surroundings import add_camera_effects, draw_background

# Seconds between two random poses, between which the motion is smooth.
KEY_INTERVAL = 0.8
HEIGHT = 1.7  # of the body, metres


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; x is right, y down and z forward.

    Attributes:
        size (tuple[int, int]): Width and height of the image, pixels.
        focal_length (float): Focal length, pixels.
        shift (tuple[float, float]): Principal point relative to the centre of the
            image, pixels. Defaults to (0, 0).
    """

    size: tuple[int, int]
    focal_length: float
    shift: tuple[float, float] = (0.0, 0.0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points.

        Args:
            points (np.ndarray): Points (N, 3), metres.

        Returns:
            np.ndarray: Pixels (N, 2).
        """
        centre = np.array(self.size) / 2 + self.shift
        return self.focal_length * points[:, :2] / points[:, 2:] + centre


@dataclass(frozen=True)
class MotionFrame:
    """A frame of a video and its ground truth.

    Attributes:
        image (np.ndarray): Image (height, width, 3), BGR uint8.
        keypoints (np.ndarray): COCO keypoints (17, 2), pixels.
        joints (np.ndarray): Joints of Human3.6M (17, 3) in camera axes, metres.
        joint_pixels (np.ndarray): The same joints in the image (17, 2), pixels.
    """

    image: np.ndarray
    keypoints: np.ndarray
    joints: np.ndarray
    joint_pixels: np.ndarray


def render_motion(
    rng: np.random.Generator,
    camera: Camera,
    num_frames: int,
    fps: float = 25.0,
    pose_range: float = 0.7,
) -> Iterator[MotionFrame]:
    """Render a video of one body.

    Random poses follow each other every :data:`KEY_INTERVAL` seconds; angles and the
    position are interpolated between them.

    Args:
        rng (np.random.Generator): Random generator.
        camera (Camera): The camera.
        num_frames (int): Number of frames.
        fps (float): Frame rate in frames per second. Defaults to 25.
        pose_range (float): See :func:`.body.sample_body`. Defaults to 0.7.

    Yields:
        MotionFrame: The frames, in order.
    """
    seconds = num_frames / fps
    poses, positions = _sample_motion(rng, camera, seconds, pose_range)
    background = draw_background(rng, camera.size)
    clothes, girth = sample_clothes(rng), rng.uniform(0.8, 1.3)
    effects = rng.integers(2**32)
    for time in np.arange(num_frames) / fps:
        body, position = build_body(pose_at(poses, time)), positions(time)
        figure = place_body(body, position, camera, clothes, girth)
        canvas = Canvas(background.copy())
        draw_figure(canvas, figure, 0)
        joints = _to_metres(body.h36m_joints, position)
        yield MotionFrame(
            # The same exposure and noise in each frame.
            image=add_camera_effects(np.random.default_rng(effects), canvas.image),
            keypoints=figure.pixels,
            joints=joints,
            joint_pixels=camera.project(joints),
        )


def _sample_motion(
    rng: np.random.Generator, camera: Camera, seconds: float, pose_range: float
) -> tuple[dict[str, PchipInterpolator], PchipInterpolator]:
    """Sample key poses and positions of the pelvis; functions of the time."""
    times = np.arange(0, seconds + 2 * KEY_INTERVAL, KEY_INTERVAL)
    keys = [sample_pose(rng, pose_range) for _ in times]
    # The body does not change its shape, and turns slowly.
    yaw = rng.uniform(-np.pi, np.pi) + rng.normal(0, 0.5, len(times)).cumsum()
    keys = [
        replace(key, shape=keys[0].shape, view=np.array([angle, key.view[1]]))
        for key, angle in zip(keys, yaw, strict=True)
    ]
    poses = {
        name: PchipInterpolator(times, [getattr(key, name) for key in keys])
        for name in ('shape', 'arms', 'legs', 'head', 'view')
    }
    # The body is between half and 80 % of the image high.
    depth = camera.focal_length * HEIGHT / camera.size[1]
    depth *= 1 / rng.uniform(0.5, 0.8, len(times))
    reach = 0.2 * depth * camera.size[0] / camera.focal_length
    across = rng.uniform(-1, 1, len(times)) * reach
    positions = np.column_stack((across, np.zeros(len(times)), depth))
    return poses, PchipInterpolator(times, positions)


def pose_at(poses: dict[str, PchipInterpolator], time: float) -> Pose:
    """Evaluate the functions of a pose.

    Args:
        poses (dict[str, PchipInterpolator]): Function of the time of each attribute.
        time (float): Time, seconds.

    Returns:
        Pose: The pose at this time.
    """
    return Pose(**{name: function(time) for name, function in poses.items()})


def _to_metres(points: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Convert points of a body, whose z is towards the viewer, to camera axes."""
    return HEIGHT * points * [1, 1, -1] + position


def place_body(
    body: Body,
    position: np.ndarray,
    camera: Camera,
    clothes: dict[str, np.ndarray],
    girth: float,
) -> Figure:
    """Project a body.

    Args:
        body (Body): The posed body.
        position (np.ndarray): Its pelvis (3,) in camera axes, metres.
        camera (Camera): The camera.
        clothes (dict[str, np.ndarray]): See :class:`.figure.Figure`.
        girth (float): See :class:`.figure.Figure`.

    Returns:
        Figure: The body in the image.
    """

    def project(points: np.ndarray) -> np.ndarray:
        return camera.project(_to_metres(points, position))

    return Figure(
        body=body,
        pixels=project(body.joints),
        head=project(body.head[None])[0],
        middle=project(body.middle_joints),
        scale=camera.focal_length * HEIGHT / position[2],
        clothes=clothes,
        girth=girth,
    )
