# SPDX-License-Identifier: Apache-2.0
"""Render images of articulated people.

Bodies are drawn from the farthest to the nearest, so the label map tells which
keypoints are visible (v = 2), occluded by the person, another person or an object
(v = 1), or outside the image (v = 0).
"""

from dataclasses import dataclass

import numpy as np

from .annotation import annotate, person_mask
from .canvas import Canvas
from .figure import draw_figure, sample_figure
from .person import Person
from .surroundings import add_camera_effects, draw_background, draw_occluder


@dataclass(frozen=True)
class Difficulty:
    """Settings of a level of difficulty.

    Attributes:
        num_people (tuple[int, int]): Minimum and maximum number of people in an image.
        height (tuple[float, float]): Minimum and maximum body height as a fraction of
            the image height.
        pose_range (float): Range of the joint angles, 0 to 1.
        spread (float): Spread of the people around the centre of the crowd, as a
            fraction of the image width.
        occluder_prob (float): Probability of an object in front of all people.
    """

    num_people: tuple[int, int]
    height: tuple[float, float]
    pose_range: float
    spread: float
    occluder_prob: float


DIFFICULTIES = {
    'easy': Difficulty((1, 3), (0.55, 0.95), 0.7, 0.32, 0.05),
    # one group of overlapping people, as in MPII's multi-person images
    'groups': Difficulty((2, 4), (0.5, 0.9), 0.8, 0.13, 0.1),
    'crowd': Difficulty((4, 9), (0.4, 0.9), 1.0, 0.22, 0.25),
}


def render_scene(
    rng: np.random.Generator, size: tuple[int, int], difficulty: Difficulty
) -> tuple[np.ndarray, list[Person]]:
    """Draw an image of people.

    Args:
        rng (np.random.Generator): Random generator.
        size (tuple[int, int]): Width and height, pixels.
        difficulty (Difficulty): Number, size, pose and occlusion of the people.

    Returns:
        tuple[np.ndarray, list[Person]]: The image (height, width, 3), BGR uint8, and
        the annotated people, farthest first. People of whom less than a tenth or less
        than 60 pixels are visible are not annotated.
    """
    width, height = size
    canvas = Canvas(draw_background(rng, size))
    number = rng.integers(difficulty.num_people[0], difficulty.num_people[1] + 1)
    # Nearer people are larger and drawn later.
    scales = np.sort(rng.uniform(*difficulty.height, size=number)) * height
    centre = rng.uniform(0.35, 0.65) * width
    figures, areas = [], []
    for person, scale in enumerate(scales):
        figure = sample_figure(
            rng, size, scale, difficulty.pose_range, centre, difficulty.spread
        )
        draw_figure(canvas, figure, person)
        figures.append(figure)
        areas.append(int(person_mask(canvas, person).sum()))
    if rng.random() < difficulty.occluder_prob:
        draw_occluder(rng, canvas)

    people = [
        annotate(canvas, figure, person, areas[person])
        for person, figure in enumerate(figures)
    ]
    image = add_camera_effects(rng, canvas.image)
    return image, [person for person in people if person is not None]
