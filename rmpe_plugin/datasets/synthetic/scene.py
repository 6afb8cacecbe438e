# SPDX-License-Identifier: Apache-2.0
"""Render crowds of articulated people as a COCO keypoint data set.

The people are drawn from 3-D bodies, farthest first, so that what hides a joint is
known for every pixel: v = 2 is seen, v = 1 hidden by oneself, by another or by an
object, v = 0 outside the image.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .body import HEAD_RADIUS, INDEX, KEYPOINTS, SHOULDER, Body, sample_body
from .person import Person

# Parts of a body; a pixel's label is person * len(PARTS) + part + 1, 0 where nobody is.
PARTS = ('torso', 'head', *(f'{side}_{limb}' for side in ('left', 'right')
         for limb in ('upper_arm', 'forearm', 'thigh', 'shin', 'foot')))  # fmt: skip
PART = {name: i for i, name in enumerate(PARTS)}

# A joint is seen where one of its own parts is in front.
OWN_PARTS = np.zeros((len(KEYPOINTS), len(PARTS)), dtype=bool)
OWN_PARTS[:5, PART['head']] = True
for _side in ('left', 'right'):
    for _joint, _parts in dict(
        shoulder=('upper_arm',),
        elbow=('upper_arm', 'forearm'),
        wrist=('forearm',),
        hip=('thigh',),
        knee=('thigh', 'shin'),
        ankle=('shin', 'foot'),
    ).items():
        for _part in _parts:
            OWN_PARTS[INDEX[f'{_side}_{_joint}'], PART[f'{_side}_{_part}']] = True

_CIRCLE = np.stack(
    [f(np.linspace(0, 2 * np.pi, 16, endpoint=False)) for f in (np.cos, np.sin)], axis=1
)
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Difficulty:
    """What a level of difficulty means.

    Attributes:
        people (tuple[int, int]): Least and most people in an image.
        height (tuple[float, float]): Least and most body height, as a share of the
            image's height.
        freedom (float): How far limbs stray from rest, 0 to 1.
        gather (float): Spread of the crowd around its middle, as a share of the
            image's width.
        occluder (float): Probability of an object in front of everybody.
    """

    people: tuple[int, int]
    height: tuple[float, float]
    freedom: float
    gather: float
    occluder: float


DIFFICULTIES = {
    'easy': Difficulty((1, 3), (0.55, 0.95), 0.7, 0.32, 0.05),
    'crowd': Difficulty((4, 9), (0.4, 0.9), 1.0, 0.22, 0.25),
}


class _Canvas:
    """A picture and, pixel for pixel, the label of what is drawn there."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.labels = np.zeros(image.shape[:2], dtype=np.int32)

    def owners(self) -> np.ndarray:
        """Which person every pixel shows, -1 for none, (height, width)."""
        return (self.labels - 1) // len(PARTS)

    def fill(self, polygon: np.ndarray, colour: np.ndarray, label: int | None) -> None:
        """Fill a convex polygon (N, 2); ``label=None`` keeps the labels beneath."""
        points = np.round(polygon * 2**_SUBPIXEL_BITS).astype(np.int32)
        colour = tuple(float(c) for c in colour)
        cv2.fillConvexPoly(self.image, points, colour, cv2.LINE_AA, _SUBPIXEL_BITS)
        if label is not None:
            cv2.fillConvexPoly(self.labels, points, label, cv2.LINE_8, _SUBPIXEL_BITS)


def _hull(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Convex hull of circles, (N, 2)."""
    points = centres[:, None] + np.asarray(radii)[:, None, None] * _CIRCLE
    return cv2.convexHull(points.reshape(-1, 2).astype(np.float32))[:, 0]


def _background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Soft light and a clutter of plain shapes, (height, width, 3) uint8."""
    soft = rng.uniform(40, 215, size=(4, 5, 3)).astype(np.float32)
    soft = 0.6 * soft + 0.4 * soft.mean(axis=(0, 1))
    image = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
    for _ in range(rng.integers(6, 18)):
        centre = rng.uniform((0, 0), (width, height))
        size = rng.uniform(0.02, 0.22) * height * rng.uniform(0.3, 1.7, size=2)
        box = ((float(centre[0]), float(centre[1])), tuple(map(float, size)),
               float(rng.uniform(0, 180)))  # fmt: skip
        colour = tuple(map(float, rng.uniform(20, 235, size=3)))
        if rng.random() < 0.3:
            cv2.ellipse(image, box, colour, -1, cv2.LINE_AA)
        elif rng.random() < 0.5:
            corners = np.round(cv2.boxPoints(box)).astype(np.int32)
            cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA)
        else:
            ends = np.round(rng.uniform((0, 0), (width, height), size=(2, 2)))
            start, end = ends.astype(int).tolist()
            cv2.line(image, start, end, colour, int(rng.integers(1, 6)), cv2.LINE_AA)
    return image


def _wardrobe(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Colours (BGR) of skin, hair and clothes."""
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


@dataclass(frozen=True)
class _Figure:
    """A body placed in the picture and dressed.

    Attributes:
        body (Body): The posed body.
        pixels (np.ndarray): Its joints (17, 2), pixels.
        head (np.ndarray): Centre of its head (2,), pixels.
        scale (float): Its height, pixels.
        clothes (dict[str, np.ndarray]): Colours, see :func:`_wardrobe`.
        girth (float): Thickness of its limbs, about 1.
    """

    body: Body
    pixels: np.ndarray
    head: np.ndarray
    scale: float
    clothes: dict[str, np.ndarray]
    girth: float

    def hull(self, joints: list[str], radii: tuple[float, ...]) -> np.ndarray:
        """Outline of a part around joints; ``radii`` are shares of the height."""
        centres = self.pixels[[INDEX[joint] for joint in joints]]
        return _hull(centres, np.array(radii) * self.scale * self.girth)

    def depth(self, joints: list[str]) -> float:
        """Mean depth of joints, body heights."""
        return self.body.joints[[INDEX[joint] for joint in joints], 2].mean()


def _draw_head(canvas: _Canvas, figure: _Figure, label: int) -> None:
    """Skull, hair and, as far as they look this way, ears, eyes, nose and mouth."""
    body, pixels, head = figure.body, figure.pixels, figure.head
    radius = HEAD_RADIUS * figure.scale
    skin, hair = figure.clothes['skin'], figure.clothes['hair']
    for ear in pixels[3:5]:
        canvas.fill(_hull(ear[None], [0.28 * radius]), skin * 0.85, label)
    crown = head + np.array([0.0, -0.25 * radius])
    canvas.fill(_hull(np.stack((crown, head)), [radius, radius]), hair, label)
    if body.facing[2] < -0.1:
        return
    chin = np.stack((head, head + [0.0, 0.25 * radius]))
    look = body.facing[:2] * 0.35 * radius
    canvas.fill(_hull(chin + look, [0.82 * radius, 0.7 * radius]), skin, label)
    for eye, depth in zip(pixels[1:3], body.joints[1:3, 2] - body.head[2], strict=True):
        if depth > 0.2 * HEAD_RADIUS:
            canvas.fill(_hull(eye[None], [0.17 * radius]), np.full(3, 245.0), None)
            canvas.fill(_hull(eye[None], [0.1 * radius]), np.full(3, 25.0), None)
    canvas.fill(_hull(pixels[:1], [0.14 * radius]), skin * 0.7, None)
    mouth = pixels[0] + [0.0, 0.45 * radius]
    mouth = np.stack((mouth - [0.2 * radius, 0], mouth + [0.2 * radius, 0]))
    canvas.fill(_hull(mouth, [0.07 * radius] * 2), skin * [0.5, 0.5, 0.8], None)


def _outlines(figure: _Figure) -> dict[str, tuple[np.ndarray, float]]:
    """Outline (pixels) and depth (body heights) of every part but the head."""
    trunk = [f'{side}_{j}' for j in ('shoulder', 'hip') for side in ('left', 'right')]
    radii = (0.035, 0.035, 0.055, 0.055)
    outlines = {'torso': (figure.hull(trunk, radii), figure.depth(trunk))}
    for side in ('left', 'right'):
        for part, start, end, *radii in (
            ('upper_arm', 'shoulder', 'elbow', 0.036, 0.028),
            ('forearm', 'elbow', 'wrist', 0.028, 0.02),
            ('thigh', 'hip', 'knee', 0.055, 0.038),
            ('shin', 'knee', 'ankle', 0.038, 0.024),
        ):
            joints = [f'{side}_{start}', f'{side}_{end}']
            outlines[f'{side}_{part}'] = (
                figure.hull(joints, radii),
                figure.depth(joints),
            )
        ankle = figure.pixels[INDEX[f'{side}_ankle']]
        toe = ankle + figure.scale * 0.05 * np.array([figure.body.facing[0], 0.55])
        radii = np.array([0.024, 0.02]) * figure.scale
        outline = _hull(np.stack((ankle, toe)), radii)
        outlines[f'{side}_foot'] = outline, figure.depth([f'{side}_ankle']) + 0.03
    return outlines


def _shrink(outline: np.ndarray, rim: float) -> np.ndarray:
    """Move an outline's corners inwards by ``rim`` pixels, short of its middle."""
    middle = outline.mean(axis=0)
    direction = outline - middle
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    inner = 1 - np.minimum(rim, 0.4 * length) / length.clip(1e-3)
    return middle + direction * inner


def _draw_person(canvas: _Canvas, figure: _Figure, person: int) -> None:
    """Draw a body part by part, farthest first."""
    outlines, clothes, scale = _outlines(figure), figure.clothes, figure.scale
    torso_depth = outlines['torso'][1]
    depths = {part: depth for part, (_, depth) in outlines.items()}
    # The neck carries the head in front of the torso unless it looks away from us.
    depths['head'] = figure.body.head[2] + 0.02

    for part in sorted(depths, key=depths.get):
        label = person * len(PARTS) + 1 + PART[part]
        if part == 'head':
            _draw_head(canvas, figure, label)
            continue
        if part == 'torso':
            neck = figure.pixels[5:7].mean(axis=0)
            throat = np.stack((neck, 0.3 * neck + 0.7 * figure.head))
            canvas.fill(_hull(throat, [0.03 * scale] * 2), clothes['skin'] * 0.9, label)
        outline = outlines[part][0]
        limb = part.split('_', 1)[-1]
        shade = 1.0 + 0.6 * (depths[part] - torso_depth)
        colour = np.clip(clothes[limb] * shade, 0, 255)
        # A lighter core leaves a darker rim, which parts limbs from a torso of the
        # same cloth.
        canvas.fill(outline, colour * 0.72, label)
        canvas.fill(_shrink(outline, 0.008 * scale), colour, None)
        if limb == 'forearm':
            hand = figure.hull([part.replace('forearm', 'wrist')], (0.026,))
            canvas.fill(hand, clothes['skin'], label)


def _seen(canvas: _Canvas, body: Body, pixels: np.ndarray, person: int) -> np.ndarray:
    """Which joints inside the image are in front of everything, (17,) bool."""
    height, width = canvas.labels.shape
    x, y = np.floor(pixels).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    label = canvas.labels[y.clip(0, height - 1), x.clip(0, width - 1)] - 1
    part = label - person * len(PARTS)
    mine = (part >= 0) & (part < len(PARTS))
    seen = mine & OWN_PARTS[np.arange(len(KEYPOINTS)), part.clip(0, len(PARTS) - 1)]
    # Shoulders and hips show through the clothes on the torso, on the near side.
    depth = body.joints[:, 2]
    near = depth > depth[[5, 6, 11, 12]].mean() - 0.5 * SHOULDER
    trunk = np.isin(np.arange(len(KEYPOINTS)), [5, 6, 11, 12])
    seen |= trunk & near & mine & (part == PART['torso'])
    # The skull hides the features on its far side.
    seen[:3] &= depth[:3] > body.head[2] + 0.2 * HEAD_RADIUS
    seen[3:5] &= depth[3:5] > body.head[2] - 0.45 * HEAD_RADIUS
    return inside & seen


def _box(mask: np.ndarray) -> np.ndarray:
    """Box of a mask's pixels, xyxy."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x, y, x + w, y + h], dtype=np.float64)


def render_scene(
    rng: np.random.Generator, size: tuple[int, int], difficulty: Difficulty
) -> tuple[np.ndarray, list[Person]]:
    """Draw one image of people.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (tuple[int, int]): Width and height, pixels.
        difficulty (Difficulty): How many people, how they stand and what hides them.

    Returns:
        tuple[np.ndarray, list[Person]]: The image, BGR uint8 (height, width, 3), and
        the people of whom at least a tenth and 60 pixels can be seen, farthest first.
    """
    width, height = size
    canvas = _Canvas(_background(rng, width, height))
    number = rng.integers(difficulty.people[0], difficulty.people[1] + 1)
    # Nearer people are larger and drawn later.
    scales = np.sort(rng.uniform(*difficulty.height, size=number)) * height
    middle = rng.uniform(0.35, 0.65) * width
    figures, alone = [], []
    for person, scale in enumerate(scales):
        body = sample_body(rng, difficulty.freedom)
        pelvis = np.array(
            [
                middle + rng.uniform(-1.8, 1.8) * difficulty.gather * width,
                0.5 * height + 0.12 * scale * rng.normal() + 0.1 * (height - scale),
            ]
        )
        pixels = pelvis + scale * body.joints[:, :2]
        head = pelvis + scale * body.head[:2]
        clothes, girth = _wardrobe(rng), rng.uniform(0.8, 1.3)
        figures.append(_Figure(body, pixels, head, scale, clothes, girth))
        _draw_person(canvas, figures[-1], person)
        alone.append(int((canvas.owners() == person).sum()))
    if rng.random() < difficulty.occluder:
        _draw_occluder(rng, canvas, width, height)

    people = [
        _observe(canvas, figure, person, alone[person])
        for person, figure in enumerate(figures)
    ]
    return _finish(rng, canvas.image), [person for person in people if person]


def _observe(
    canvas: _Canvas, figure: _Figure, person: int, alone: int
) -> Person | None:
    """Annotate a person of ``alone`` pixels before others hid it; ``None`` if lost."""
    height, width = canvas.labels.shape
    mask = canvas.owners() == person
    area = int(mask.sum())
    visible = area / max(1, alone)
    if area < 60 or visible < 0.1:
        return None
    pixels = figure.pixels
    inside = ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
    v = np.where(_seen(canvas, figure.body, pixels, person), 2, 1) * inside
    keypoints = np.column_stack((np.where(inside[:, None], pixels, 0), v))
    full = np.concatenate((pixels.min(axis=0), pixels.max(axis=0)))
    full += figure.scale * np.array([-0.04, -0.07, 0.04, 0.05])
    return Person(keypoints, _box(mask), full, area, visible)


def _draw_occluder(rng: np.random.Generator, canvas: _Canvas, width: int, height: int):
    """Put a table, a wall or a pole in front of everybody."""
    x, y = rng.uniform(0, width), rng.uniform(0.55, 0.9) * height
    if rng.random() < 0.4:
        half = rng.uniform(0.01, 0.035) * width
        corners = [[x - half, 0], [x + half, 0], [x + half, height], [x - half, height]]
    else:
        half = rng.uniform(0.1, 0.35) * width
        corners = [[x - half, y], [x + half, y], [x + half, height], [x - half, height]]
    canvas.fill(np.array(corners), rng.uniform(20, 230, size=3), 0)


def _finish(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, a lens that is not always sharp, and grain."""
    image = image.astype(np.float32) * rng.uniform(0.75, 1.15)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 1.0))
    grain = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1, 7)
    return np.clip(image + grain, 0, 255).astype(np.uint8)
