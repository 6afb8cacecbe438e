# SPDX-License-Identifier: Apache-2.0
"""Descriptions of keypoints in the ``categories`` of COCO annotations.

COCO defines ``keypoints``, their names in the order of the annotations, and
``skeleton``, pairs of ids that start with 1. Two entries are this package's: ``swap``,
the pairs of left and right keypoints in the same form, and ``sigmas`` for OKS.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.logging import print_log

from .coco import read_annotations
from .metainfo import OF_MMPOSE, parse_metainfo

# MMPose's description of COCO's keypoints.
_COCO = dict(from_file='configs/_base_/datasets/coco.py')
# Rounded mean of COCO's 17 sigmas.
DEFAULT_SIGMA = 0.067
# What makes the description of a category.
_ENTRIES = ('keypoints', 'skeleton', 'swap', 'sigmas')

# As MMPose draws COCO's keypoints.
_LEFT, _RIGHT, _MIDDLE = [0, 255, 0], [255, 128, 0], [51, 153, 255]

_LETTER = r'[^\W\d_]'
# left_knee, leftKnee, leftknee; kneeLeft; l_knee, knee.L, 'R knee'; lKnee, LKnee; kneeL
_SIDE = re.compile(
    rf'(?<!{_LETTER})(?:left|right|Left|Right|LEFT|RIGHT)'
    rf'|(?<=[a-z])(?:Left|Right)'
    rf'|(?<!{_LETTER})[lrLR](?!{_LETTER})'
    rf'|(?<!{_LETTER})(?:[lr](?=[A-Z])|[LR](?=[A-Z][a-z]))'
    rf'|(?<=[a-z])[LR](?!{_LETTER})'
)
_LEFT_WORDS = ('left', 'Left', 'LEFT', 'l', 'L')
_RIGHT_WORDS = ('right', 'Right', 'RIGHT', 'r', 'R')
_OTHER_SIDE = dict(
    zip(_LEFT_WORDS + _RIGHT_WORDS, _RIGHT_WORDS + _LEFT_WORDS, strict=True)
)


class CategoryKeypoints(NamedTuple):
    """Keypoints that a category describes.

    Attributes:
        metainfo (dict): MMPose's description, as for
            :func:`rmpe_plugin.structures.parse_metainfo`.
        swaps (list[tuple[str, str]]): Names of left and right keypoints.
        notes (list[str]): What was not in the file, but derived or a default.
    """

    metainfo: dict
    swaps: list[tuple[str, str]]
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """Names of the keypoints (K)."""
        return [k['name'] for k in self.metainfo['keypoint_info'].values()]


def named_categories(path: Path, dataset: dict) -> list[dict]:
    """Find the categories that name their keypoints.

    Args:
        path (Path): File of the annotations, for the error message.
        dataset (dict): COCO annotations.

    Returns:
        list[dict]: The categories with ``keypoints``; only those of annotations with
        keypoints, if there are any.

    Raises:
        ValueError: If ``keypoints`` is no list of different names.
    """
    named = [c for c in dataset.get('categories', []) if c.get('keypoints')]
    annotations = dataset.get('annotations', [])
    used = {a.get('category_id') for a in annotations if a.get('keypoints')}
    for category in named:
        _check_names(_source(path, category), category['keypoints'])
    return [c for c in named if c['id'] in used] or named


def describe_keypoints(path: Path, dataset: dict) -> CategoryKeypoints | None:
    """Read MMPose's description of the keypoints from the categories.

    Without ``swap``, two keypoints are left and right if their names differ in
    ``left`` and ``right``, or ``l`` and ``r``, only: ``left_knee``, ``l_knee``,
    ``knee_l``, ``leftKnee``, ``LKnee``, ``kneeL`` and so on. Without ``sigmas``,
    keypoints with COCO's names have COCO's sigmas, and others 0.067, their mean.

    Args:
        path (Path): File of the annotations, for messages.
        dataset (dict): COCO annotations.

    Returns:
        CategoryKeypoints | None: The description; ``None`` if no category names
        keypoints.

    Raises:
        ValueError: If used categories describe other keypoints, or an entry is not
            valid.
    """
    categories = named_categories(path, dataset)
    return _describe_equal(path, categories) if categories else None


def _describe_equal(path: Path, categories: list[dict]) -> CategoryKeypoints:
    """Describe the keypoints of categories, which must be the same."""
    category = categories[0]
    for other in categories[1:]:
        if any(other.get(key) != category.get(key) for key in _ENTRIES):
            raise ValueError(
                f'{path}: the keypoints of the categories {category["id"]} and '
                f'{other["id"]} differ; set dataset.metainfo, or write a file for each'
            )
    return _describe(_source(path, category), category)


def category_metainfo(path: Path, dataset: dict, default: dict) -> tuple[dict, str]:
    """Parse the description of the categories, see :func:`describe_keypoints`.

    Args:
        path (Path): File of the annotations, for messages.
        dataset (dict): COCO annotations.
        default (dict): Parsed description if no category names keypoints, or if they
            have its names, and neither ``swap`` nor ``sigmas``: the default also has
            colours and parts of the body.

    Returns:
        tuple[dict, str]: The description as MMPose parses it, and what to log about it,
        which may be empty.

    Raises:
        ValueError: See :func:`describe_keypoints`.
    """
    categories, names = named_categories(path, dataset), [*default['keypoint_name2id']]
    if not categories:
        return default, (
            f'{path}: no category names keypoints; they are the {len(names)} of '
            f'{default["dataset_name"]}'
        )
    if all(
        c['keypoints'] == names and not {'swap', 'sigmas'} & c.keys()
        for c in categories
    ):
        return default, ''
    described = _describe_equal(path, categories)
    message = [f'{path}: {len(described.names)} keypoints', *described.notes]
    return parse_metainfo(described.metainfo), '; '.join(message)


def read_metainfo(path: Path, from_file: str | None = None) -> dict:
    """Read the description of the keypoints of annotations.

    Args:
        path (Path): COCO annotations.
        from_file (str, optional): MMPose's file that describes the keypoints. Defaults
            to ``None``: the categories of the annotations, or COCO's keypoints if they
            name none. The log says which.

    Returns:
        dict: The description as MMPose parses it.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file or its categories are not valid.
    """
    if from_file is not None:
        # Imports all data sets of MMPose, which takes seconds.
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        return parse_pose_metainfo(dict(from_file=from_file))
    coco = parse_metainfo(_COCO)
    meta, message = category_metainfo(path, read_annotations(path), coco)
    if message:
        print_log(message, logger='current')
    return meta


def compare_keypoints(path: Path, dataset: dict, names: Sequence[str]) -> Iterator[str]:
    """Compare the categories with the names of a description.

    Args:
        path (Path): File of the annotations, for messages.
        dataset (dict): COCO annotations.
        names (Sequence[str]): Names of the keypoints (K) in ``metainfo``.

    Yields:
        str: Difference of the names in a category.

    Raises:
        ValueError: If a category has another number of keypoints, or has a name of
            ``metainfo`` at another place.
    """
    for category in named_categories(path, dataset):
        source, own = _source(path, category), category['keypoints']
        if len(own) != len(names):
            raise ValueError(
                f'{source} names {len(own)} keypoints, but metainfo {len(names)}'
            )
        for name in own:
            if name in names and names.index(name) != own.index(name):
                raise ValueError(
                    f'{source}: {name!r} is keypoint {own.index(name) + 1}, but '
                    f'keypoint {names.index(name) + 1} in metainfo'
                )
        other = [f'{a!r} is {b!r}' for a, b in zip(own, names, strict=True) if a != b]
        if other:
            yield f'{source} has other names than metainfo, where {", ".join(other)}'


def _source(path: Path, category: dict) -> str:
    """How messages name a category."""
    return f'{path}: category {category["id"]}'


def _describe(source: str, category: dict) -> CategoryKeypoints:
    """Describe the keypoints of a category whose names are valid."""
    names: list[str] = category['keypoints']
    notes: list[str] = []
    if 'swap' in category:
        swaps = _pairs(source, 'swap', category['swap'], names)
        _check_swaps(source, swaps)
    else:
        swaps = _swaps_by_name(names, notes)
    sigmas = category.get('sigmas')
    if sigmas is None:
        sigmas = _default_sigmas(names, notes)
    else:
        _check_sigmas(source, sigmas, len(names))
    links = _pairs(source, 'skeleton', category.get('skeleton') or [], names)
    partners = {a: b for a, b in swaps} | {b: a for a, b in swaps}
    colors = {a: _LEFT for a, _ in swaps} | {b: _RIGHT for _, b in swaps}
    color_of = {name: colors.get(name, _MIDDLE) for name in names}
    metainfo = dict(
        dataset_name=str(category.get('name', 'person')),
        keypoint_info={
            i: dict(
                name=name, id=i, color=color_of[name], type='',
                swap=partners.get(name, ''),
            )
            for i, name in enumerate(names)
        },
        skeleton_info={
            i: dict(
                link=(a, b), id=i,
                color=color_of[a] if color_of[a] == color_of[b] else _MIDDLE,
            )
            for i, (a, b) in enumerate(links)
        },
        joint_weights=[1.0] * len(names),
        sigmas=sigmas,
    )  # fmt: skip
    return CategoryKeypoints(metainfo, swaps, notes)


def _swaps_by_name(names: list[str], notes: list[str]) -> list[tuple[str, str]]:
    """Pairs of names (left, right) that differ in the side only."""
    swaps, alone = [], []
    for name in names:
        side = _SIDE.search(name)
        partner = _SIDE.sub(lambda match: _OTHER_SIDE[match[0]], name)
        if side and partner not in names:
            alone.append(name)
        elif side and side[0] in _LEFT_WORDS:
            swaps.append((name, partner))
    pairs = ', '.join(f'{a} and {b}' for a, b in swaps)
    notes.append(f'left and right by name: {pairs or "none"}')
    if alone:
        notes.append(f'without a partner: {", ".join(alone)}')
    return swaps


def _default_sigmas(names: list[str], notes: list[str]) -> list[float]:
    """Sigmas of COCO's keypoints of the same names, and the default of others."""
    known = _coco_sigmas()
    of_coco = [name for name in names if name in known]
    others = [name for name in names if name not in known]
    if of_coco:
        notes.append(f'sigmas of COCO: {", ".join(of_coco)}')
    if others:
        notes.append(f'default sigma {DEFAULT_SIGMA}: {", ".join(others)}')
    return [known.get(name, DEFAULT_SIGMA) for name in names]


@cache
def _coco_sigmas() -> dict[str, float]:
    """Sigma of each of COCO's keypoints."""
    coco = Config.fromfile(OF_MMPOSE / 'coco.py').dataset_info
    names = [keypoint['name'] for keypoint in coco.keypoint_info.values()]
    return dict(zip(names, coco.sigmas, strict=True))


def _check_names(source: str, names: Any) -> None:
    """Raise if ``names`` is no list of different names."""
    is_text = isinstance(names, list) and all(
        isinstance(name, str) and name.strip() for name in names
    )
    if not is_text or len({*names}) < len(names):
        raise ValueError(
            f'{source}: keypoints must be a list of different names, got {names}'
        )


def _pairs(
    source: str, key: str, pairs: Any, names: list[str]
) -> list[tuple[str, str]]:
    """Names of pairs of ids that start with 1."""
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        is_pair = isinstance(pair, list) and len({*map(str, pair)}) == len(pair) == 2
        if not is_pair or any(
            type(i) is not int or not 1 <= i <= len(names) for i in pair
        ):
            raise ValueError(
                f'{source}: {key} must be a list of pairs of two keypoints, from 1 to '
                f'{len(names)}, got {pair}'
            )
    return [(names[a - 1], names[b - 1]) for a, b in pairs]


def _check_swaps(source: str, swaps: list[tuple[str, str]]) -> None:
    """Raise if a keypoint is in two pairs."""
    names = [name for pair in swaps for name in pair]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f'{source}: {twice[0]!r} is in several pairs of swap')


def _check_sigmas(source: str, sigmas: Any, number: int) -> None:
    """Raise if ``sigmas`` are not a positive number for each keypoint."""
    is_valid = isinstance(sigmas, list) and all(
        isinstance(sigma, int | float) and math.isfinite(sigma) and sigma > 0
        for sigma in sigmas
    )
    if not is_valid or len(sigmas) != number:
        raise ValueError(
            f'{source}: sigmas must be {number} positive numbers, one for each '
            f'keypoint, got {sigmas}'
        )
