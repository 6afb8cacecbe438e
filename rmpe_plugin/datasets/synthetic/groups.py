# SPDX-License-Identifier: Apache-2.0
"""Videos of several people who cross, stop, turn, leave and come back."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from .annotation import annotate, person_mask
from .canvas import Canvas
from .figure import Figure, draw_figure, sample_clothes
from .motion import HEIGHT, Camera, place_body
from .person import Person
from .surroundings import add_camera_effects, draw_background
from .walk import Walk, sample_walk

# Height of the nearest and of the farthest people relative to the image.
NEAREST, FARTHEST = 0.85, 0.45
# How far a person leaves its own range of depths, relative to the range.
OVERLAP = 0.3


@dataclass(frozen=True)
class GroupFrame:
    """A frame of a video of a group and its ground truth.

    Attributes:
        image (np.ndarray): Image (height, width, 3), BGR uint8.
        people (dict[int, Person]): The annotated people by their index in the group.
            See :func:`.annotation.annotate` for those who are not annotated.
    """

    image: np.ndarray
    people: dict[int, Person]


def render_group(
    rng: np.random.Generator,
    camera: Camera,
    num_people: int,
    num_frames: int,
    fps: float = 25.0,
    pose_range: float = 0.4,
    camera_motion: float = 0.1,
) -> Iterator[GroupFrame]:
    """Render a video of a group.

    Nearer people occlude those behind them. Each person has a range of depths, which
    overlap a little, so bodies rarely touch.

    Args:
        rng (np.random.Generator): Random generator.
        camera (Camera): The camera without its motion.
        num_people (int): Number of people.
        num_frames (int): Number of frames.
        fps (float): Frame rate in frames per second. Defaults to 25.
        pose_range (float): Range of the joint angles without those of steps, see
            :func:`.body.sample_body`. Defaults to 0.4.
        camera_motion (float): Largest shift of the image by a turn of the camera, as a
            share of its width, at least 0. Defaults to 0.1.

    Yields:
        GroupFrame: The frames, in order.
    """
    seconds = num_frames / fps
    walks = _sample_walks(rng, camera, num_people, seconds, pose_range)
    looks = [(sample_clothes(rng), rng.uniform(0.8, 1.3)) for _ in walks]
    margin = int(np.ceil(camera_motion * camera.size[0]))
    shift_at = _sample_shift(rng, seconds, margin)
    width, height = camera.size
    background = draw_background(rng, (width + 2 * margin, height + 2 * margin))
    effects = rng.integers(2**32)
    for time in np.arange(num_frames) / fps:
        shift = np.round(shift_at(time)).astype(int)
        left, top = margin - shift
        canvas = Canvas(background[top : top + height, left : left + width].copy())
        moved = replace(camera, shift=tuple(shift.tolist()))
        people = _draw_people(canvas, walks, looks, moved, time)
        # The same exposure and noise in each frame.
        image = add_camera_effects(np.random.default_rng(effects), canvas.image)
        yield GroupFrame(image, people)


def _sample_walks(
    rng: np.random.Generator,
    camera: Camera,
    num_people: int,
    seconds: float,
    pose_range: float,
) -> list[Walk]:
    """Sample the motion of each person of a group."""
    depth = camera.focal_length * HEIGHT / camera.size[1]
    edges = np.linspace(depth / NEAREST, depth / FARTHEST, num_people + 1)
    overlap = OVERLAP * (edges[1] - edges[0])
    slope = camera.size[0] / 2 / camera.focal_length
    return [
        sample_walk(
            rng,
            seconds,
            (edges[i] - overlap, edges[i + 1] + overlap),
            slope,
            pose_range,
        )
        for i in rng.permutation(num_people)
    ]


def _sample_shift(
    rng: np.random.Generator, seconds: float, margin: int
) -> PchipInterpolator:
    """Sample the shift (2,) of the image in pixels, a function of the time."""
    times = np.arange(0, seconds + 2)
    # Cameras are panned more than tilted.
    shifts = rng.uniform(-1, 1, (len(times), 2)) * margin * [1, 0.3]
    return PchipInterpolator(times, shifts)


def _draw_people(
    canvas: Canvas,
    walks: list[Walk],
    looks: list[tuple[dict, float]],
    camera: Camera,
    time: float,
) -> dict[int, Person]:
    """Draw all people, the farthest first, and annotate them."""
    figures: dict[int, Figure] = {}
    areas: dict[int, int] = {}
    depths = [walk.position(time)[2] for walk in walks]
    for i in np.argsort(depths)[::-1].tolist():
        position = walks[i].position(time)
        figures[i] = place_body(walks[i].body_at(time), position, camera, *looks[i])
        draw_figure(canvas, figures[i], i)
        areas[i] = int(person_mask(canvas, i).sum())
    people = {i: annotate(canvas, figures[i], i, areas[i]) for i in sorted(figures)}
    return {i: person for i, person in people.items() if person is not None}
