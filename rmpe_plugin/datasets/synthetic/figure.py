# SPDX-License-Identifier: Apache-2.0
"""Bodies with a place in the image and clothes, and how they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .body import HEAD_RADIUS, INDEX, Body, sample_body
from .canvas import Canvas, circle_hull, shrink
from .parts import SIDES, encode_label

# Limb, its two joints, and the radius at each as a fraction of the body height.
_LIMBS = (
    ('upper_arm', 'shoulder', 'elbow', (0.036, 0.028)),
    ('forearm', 'elbow', 'wrist', (0.028, 0.02)),
    ('thigh', 'hip', 'knee', (0.055, 0.038)),
    ('shin', 'knee', 'ankle', (0.038, 0.024)),
)


@dataclass(frozen=True)
class Figure:
    """A body with a position, a size and clothes.

    Attributes:
        body (Body): The posed body.
        pixels (np.ndarray): Its joints (17, 2), pixels.
        head (np.ndarray): Centre of its head (2,), pixels.
        middle (np.ndarray): Its joints that are neither left nor right (4, 2), pixels;
            see :attr:`.body.Body.middle_joints`.
        scale (float): Its height, pixels.
        clothes (dict[str, np.ndarray]): BGR colour (3,) of the skin, the hair, the
            torso and each kind of limb.
        girth (float): Relative thickness of the limbs, about 1.
    """

    body: Body
    pixels: np.ndarray
    head: np.ndarray
    middle: np.ndarray
    scale: float
    clothes: dict[str, np.ndarray]
    girth: float

    def hull(self, joints: list[str], radii: Sequence[float]) -> np.ndarray:
        """Outline (M, 2) around joints; ``radii`` are fractions of the height."""
        centres = self.pixels[[INDEX[joint] for joint in joints]]
        return circle_hull(centres, np.array(radii) * self.scale * self.girth)

    def depth(self, joints: list[str]) -> float:
        """Mean z of joints, in body heights."""
        return self.body.joints[[INDEX[joint] for joint in joints], 2].mean()


def sample_figure(
    rng: np.random.Generator,
    size: tuple[int, int],
    scale: float,
    pose_range: float,
    centre: float,
    spread: float,
) -> Figure:
    """Sample a figure.

    Args:
        rng (np.random.Generator): Random generator.
        size (tuple[int, int]): Width and height of the image, pixels.
        scale (float): Height of the body, pixels.
        pose_range (float): See :func:`.body.sample_body`.
        centre (float): x of the crowd's centre, pixels.
        spread (float): Spread of the crowd as a fraction of the image width.

    Returns:
        Figure: The figure.
    """
    width, height = size
    body = sample_body(rng, pose_range)
    pelvis = np.array(
        [
            centre + rng.uniform(-1.8, 1.8) * spread * width,
            0.5 * height + 0.12 * scale * rng.normal() + 0.1 * (height - scale),
        ]
    )
    return Figure(
        body=body,
        pixels=pelvis + scale * body.joints[:, :2],
        head=pelvis + scale * body.head[:2],
        middle=pelvis + scale * body.middle_joints[:, :2],
        scale=scale,
        clothes=sample_clothes(rng),
        girth=rng.uniform(0.8, 1.3),
    )


def draw_figure(canvas: Canvas, figure: Figure, person: int) -> None:
    """Draw the parts of a figure, the farthest part first.

    Args:
        canvas (Canvas): Where to draw.
        figure (Figure): The figure.
        person (int): Index of the person, for the labels.
    """
    outlines = _outlines(figure)
    depths = {part: depth for part, (_, depth) in outlines.items()}
    # The head is in front of the torso unless the face is turned away.
    depths['head'] = figure.body.head[2] + 0.02
    for part in sorted(depths, key=depths.__getitem__):
        label = encode_label(person, part)
        if part == 'head':
            _draw_head(canvas, figure, label)
            continue
        if part == 'torso':
            _draw_neck(canvas, figure, label)
        shade = 1.0 + 0.6 * (depths[part] - depths['torso'])
        _draw_part(canvas, figure, part, outlines[part][0], shade, label)


def sample_clothes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sample the colours of a figure."""
    skin = np.array([120, 160, 215]) * rng.uniform(0.3, 1.12) + rng.normal(0, 6, 3)
    shirt, trousers, shoes = rng.uniform(15, 240, size=(3, 3))
    return dict(
        skin=skin,
        hair=rng.choice([[20, 20, 25], [30, 50, 80], [70, 130, 170], [120, 120, 125]]),
        torso=shirt,
        upper_arm=shirt * 0.92 if rng.random() < 0.8 else skin,
        forearm=shirt * 0.85 if rng.random() < 0.45 else skin * 0.97,
        thigh=trousers,
        shin=trousers * 0.9 if rng.random() < 0.75 else skin * 0.93,
        foot=shoes,
    )


def _outlines(figure: Figure) -> dict[str, tuple[np.ndarray, float]]:
    """Outline (pixels) and depth (body heights) of every part except the head."""
    trunk = [f'{side}_{joint}' for joint in ('shoulder', 'hip') for side in SIDES]
    radii = (0.035, 0.035, 0.055, 0.055)
    outlines = {'torso': (figure.hull(trunk, radii), figure.depth(trunk))}
    for side in SIDES:
        for limb, start, end, radii in _LIMBS:
            joints = [f'{side}_{start}', f'{side}_{end}']
            outline = figure.hull(joints, radii)
            outlines[f'{side}_{limb}'] = outline, figure.depth(joints)
        outlines[f'{side}_foot'] = _foot(figure, side)
    return outlines


def _foot(figure: Figure, side: str) -> tuple[np.ndarray, float]:
    """Outline (pixels) and depth (body heights) of a foot."""
    ankle = figure.pixels[INDEX[f'{side}_ankle']]
    toe = ankle + figure.scale * 0.05 * np.array([figure.body.facing[0], 0.55])
    radii = np.array([0.024, 0.02]) * figure.scale
    outline = circle_hull(np.stack((ankle, toe)), radii)
    return outline, figure.depth([f'{side}_ankle']) + 0.03


def _draw_neck(canvas: Canvas, figure: Figure, label: int) -> None:
    """Draw the neck, from between the shoulders towards the head."""
    bottom = figure.pixels[5:7].mean(axis=0)
    ends = np.stack((bottom, 0.3 * bottom + 0.7 * figure.head))
    outline = circle_hull(ends, [0.03 * figure.scale] * 2)
    canvas.fill(outline, figure.clothes['skin'] * 0.9, label)


def _draw_part(
    canvas: Canvas,
    figure: Figure,
    part: str,
    outline: np.ndarray,
    shade: float,
    label: int,
) -> None:
    """Draw the torso or a limb, and the hand of a forearm."""
    limb = part.split('_', 1)[-1]
    colour = np.clip(figure.clothes[limb] * shade, 0, 255)
    # The dark border separates a limb from a torso of the same colour.
    canvas.fill(outline, colour * 0.72, label)
    canvas.fill(shrink(outline, 0.008 * figure.scale), colour, None)
    if limb == 'forearm':
        hand = figure.hull([part.replace('forearm', 'wrist')], (0.026,))
        canvas.fill(hand, figure.clothes['skin'], label)


def _draw_head(canvas: Canvas, figure: Figure, label: int) -> None:
    """Draw ears and hair, and the face if it is turned towards the viewer."""
    radius = HEAD_RADIUS * figure.scale
    for ear in figure.pixels[3:5]:
        outline = circle_hull(ear[None], [0.28 * radius])
        canvas.fill(outline, figure.clothes['skin'] * 0.85, label)
    crown = figure.head + np.array([0.0, -0.25 * radius])
    hair = circle_hull(np.stack((crown, figure.head)), [radius, radius])
    canvas.fill(hair, figure.clothes['hair'], label)
    if figure.body.facing[2] >= -0.1:
        _draw_face(canvas, figure, radius, label)


def _draw_face(canvas: Canvas, figure: Figure, radius: float, label: int) -> None:
    """Draw the face, the eyes on its near side, the nose and the mouth."""
    body, pixels, head = figure.body, figure.pixels, figure.head
    skin = figure.clothes['skin']
    chin = np.stack((head, head + [0.0, 0.25 * radius]))
    offset = body.facing[:2] * 0.35 * radius
    face = circle_hull(chin + offset, [0.82 * radius, 0.7 * radius])
    canvas.fill(face, skin, label)
    for eye, depth in zip(pixels[1:3], body.joints[1:3, 2] - body.head[2], strict=True):
        if depth > 0.2 * HEAD_RADIUS:
            for size, brightness in ((0.17, 245.0), (0.1, 25.0)):
                outline = circle_hull(eye[None], [size * radius])
                canvas.fill(outline, np.full(3, brightness), None)
    canvas.fill(circle_hull(pixels[:1], [0.14 * radius]), skin * 0.7, None)
    mouth = pixels[0] + [0.0, 0.45 * radius]
    corners = np.stack((mouth - [0.2 * radius, 0], mouth + [0.2 * radius, 0]))
    canvas.fill(circle_hull(corners, [0.07 * radius] * 2), skin * [0.5, 0.5, 0.8], None)
