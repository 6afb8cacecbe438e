# SPDX-License-Identifier: Apache-2.0
"""Write rendered scenes as a COCO keypoint data set with simulated detections."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from rmpe_plugin.structures import make_annotation

from .body import KEYPOINTS, MPII_KEYPOINTS
from .detector import detect_people
from .person import Person
from .scene import DIFFICULTIES, render_scene

NOTICE = (
    'Synthetic people. The images are drawn and the person detections are simulated: '
    'no detector was run.'
)

SKELETON = [
    [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7],
    [6, 8], [7, 9], [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5],
    [4, 6], [5, 7],
]  # fmt: skip

MPII_SKELETON = [
    [1, 2], [2, 3], [3, 7], [7, 4], [4, 5], [5, 6], [7, 8], [8, 9], [9, 10], [11, 12],
    [12, 13], [13, 8], [8, 14], [14, 15], [15, 16],
]  # fmt: skip

# Keypoints and skeleton of each layout.
LAYOUTS = {
    'coco': (KEYPOINTS, SKELETON),
    'mpii': (MPII_KEYPOINTS, MPII_SKELETON),
}


def person_category(layout: str) -> dict:
    """Make COCO's category of people.

    Args:
        layout (str): A key of :data:`LAYOUTS`.

    Returns:
        dict: The category.
    """
    keypoints, skeleton = LAYOUTS[layout]
    return dict(
        id=1,
        name='person',
        supercategory='person',
        keypoints=list(keypoints),
        skeleton=skeleton,
    )


def annotate_person(
    annotation_id: int, image_id: int, person: Person, layout: str
) -> dict:
    """Make the COCO annotation of a person.

    Args:
        annotation_id (int): Id of the annotation.
        image_id (int): Id of the image.
        person (Person): The person.
        layout (str): A key of :data:`LAYOUTS`.

    Returns:
        dict: The annotation, with ``head_box`` (x, y, w, h).
    """
    keypoints = person.keypoints if layout == 'coco' else person.mpii_keypoints
    annotation = make_annotation(
        annotation_id, image_id, keypoints, person.bbox, person.area
    )
    x1, y1, x2, y2 = np.round(person.head_box, 2).tolist()
    return dict(annotation, head_box=[x1, y1, x2 - x1, y2 - y1])


def render_split(
    split: str, number: int, size: tuple[int, int], difficulty: str, seed: int
) -> Iterator[tuple[np.ndarray, list[Person], list[dict]]]:
    """Render the images of a split one after another.

    Each image has its own random generator, seeded with the seed, the name of the split
    and the index of the image. So an image does not depend on the number of images.

    Args:
        split (str): Name of the split, part of the seed.
        number (int): Number of images.
        size (tuple[int, int]): Width and height, pixels.
        difficulty (str): A key of :data:`DIFFICULTIES`.
        seed (int): Seed, not negative.

    Yields:
        tuple[np.ndarray, list[Person], list[dict]]: Image, people and simulated
        detections (COCO results without ``image_id``).

    Raises:
        ValueError: If the difficulty is unknown.
    """
    for i in range(number):
        yield _render_image(i, split, size, difficulty, seed)


def _render_image(
    index: int, split: str, size: tuple[int, int], difficulty: str, seed: int
) -> tuple[np.ndarray, list[Person], list[dict]]:
    if difficulty not in DIFFICULTIES:
        raise ValueError(
            f'difficulty must be one of {tuple(DIFFICULTIES)}, got {difficulty!r}'
        )
    rng = np.random.default_rng([seed, *split.encode(), index])
    image, people = render_scene(rng, size, DIFFICULTIES[difficulty])
    return image, people, detect_people(rng, people, size)


def _write_image(
    index: int, folder: Path, **settings
) -> tuple[str, list[Person], list[dict]]:
    """Render and write one image; returns its file name, people and detections."""
    image, people, boxes = _render_image(index, **settings)
    path = folder / f'{index + 1:06d}.jpg'
    if not cv2.imwrite(str(path), image):
        raise OSError(f'could not write {path}')
    return path.name, people, boxes


@contextmanager
def _mapper(processes: int) -> Iterator[Callable]:
    """Provide ``map`` or its equivalent in several processes."""
    if processes == 1:
        yield map
        return
    # OpenCV's own threads would compete with the processes.
    with ProcessPoolExecutor(
        processes, initializer=cv2.setNumThreads, initargs=(0,)
    ) as pool:
        yield partial(pool.map, chunksize=8)


def write_split(
    root: Path,
    split: str,
    number: int,
    size: tuple[int, int],
    difficulty: str,
    seed: int,
    processes: int = 1,
    layout: str = 'coco',
) -> tuple[int, int]:
    """Write a split as a COCO data set.

    Writes ``{split}/*.jpg``, ``annotations/person_keypoints_{split}.json`` and
    ``annotations/person_detections_{split}.json`` (COCO result format, simulated). The
    annotations also have ``head_box`` (x, y, w, h), the reference length of mAP.

    Args:
        root (Path): Folder of the data set.
        split (str): Name of the split.
        number (int): Number of images.
        size (tuple[int, int]): Width and height, pixels.
        difficulty (str): A key of :data:`DIFFICULTIES`.
        seed (int): Seed, not negative.
        processes (int): Number of processes that render; the files do not depend on
            it. Defaults to 1.
        layout (str): Keypoints of the annotations, ``'coco'`` or ``'mpii'``. Defaults
            to ``'coco'``.

    Returns:
        tuple[int, int]: Number of people and number of detections.

    Raises:
        OSError: If a file cannot be written.
        ValueError: If the difficulty or the layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout must be one of {tuple(LAYOUTS)}, got {layout!r}')
    folder = root / 'annotations'
    for path in (root / split, folder):
        path.mkdir(parents=True, exist_ok=True)
    images, annotations, detections = [], [], []
    write = partial(
        _write_image,
        folder=root / split,
        split=split,
        size=size,
        difficulty=difficulty,
        seed=seed,
    )
    with _mapper(processes) as run:
        written = track(run(write, range(number)), f'rendering {split}', total=number)
        for image_id, (name, people, boxes) in enumerate(written, start=1):
            images.append(
                dict(id=image_id, file_name=name, width=size[0], height=size[1])
            )
            annotations += [
                annotate_person(i, image_id, person, layout)
                for i, person in enumerate(people, start=len(annotations) + 1)
            ]
            detections += [dict(image_id=image_id, **box) for box in boxes]

    dataset = dict(
        info=dict(description=NOTICE, difficulty=difficulty, seed=seed),
        images=images,
        annotations=annotations,
        categories=[person_category(layout)],
    )
    (folder / f'person_keypoints_{split}.json').write_text(json.dumps(dataset))
    (folder / f'person_detections_{split}.json').write_text(json.dumps(detections))
    return len(annotations), len(detections)
