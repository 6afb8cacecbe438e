# SPDX-License-Identifier: Apache-2.0
"""JSON files of proposal models."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .gaussian_mixture import GaussianMixture

_FORMAT = 'rmpe_plugin proposal model'
_VERSION = 1

Model = TypeVar('Model')


def write_proposal_file(
    path: str | Path,
    overall: GaussianMixture,
    atoms: np.ndarray | None,
    mixtures: Sequence[GaussianMixture | None],
    people: Sequence[int],
    torso: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    """Write a proposal model to a readable JSON file, rounded to six decimals.

    Args:
        path (str | Path): File to write.
        overall (GaussianMixture): As in :class:`rmpe_plugin.ops.ProposalModel`, like
            all other arguments.
        atoms (np.ndarray, optional): Atomic poses (A, K, 2).
        mixtures (Sequence[GaussianMixture | None]): Mixture of each atomic pose.
        people (Sequence[int]): Number of people of each atomic pose.
        torso (tuple): Indices of the shoulders and of the hips.

    Example:
        >>> import tempfile
        >>> normal = GaussianMixture([1.0], np.zeros((1, 4)), [np.eye(4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / 'model.json'
        ...     write_proposal_file(path, normal, None, (), (), ((5, 6), (11, 12)))
        ...     read_proposal_file(path, dict)['torso']
        ((5, 6), (11, 12))
    """
    poses = np.empty((0, 0, 2)) if atoms is None else atoms
    record = dict(
        format=_FORMAT,
        version=_VERSION,
        offsets="(x1, y1, x2, y2) of a detection minus the ground-truth box's, divided "
        'by its (width, height, width, height)',
        torso=torso,
        overall=overall.to_records(),
        atoms=[
            dict(
                people=number,
                pose=np.round(pose, 6).tolist(),
                mixture=mixture and mixture.to_records(),
            )
            for number, pose, mixture in zip(people, poses, mixtures, strict=True)
        ],
    )
    Path(path).write_text(_vectors_on_one_line(json.dumps(record, indent=1)) + '\n')


def read_proposal_file(path: str | Path, build: Callable[..., Model]) -> Model:
    """Read a file written by :func:`write_proposal_file`.

    Args:
        path (str | Path): File to read.
        build (Callable): Builds the model from the keyword arguments ``overall``,
            ``atoms``, ``mixtures``, ``people`` and ``torso``. It raises ``ValueError``
            if they are invalid.

    Returns:
        Model: The result of ``build``.

    Raises:
        ValueError: If the file is not a proposal model, has another version or is
            damaged.
    """
    record = _read_record(path)
    try:
        atoms = record['atoms']
        shoulders, hips = record['torso']
        return build(
            overall=GaussianMixture.from_records(record['overall']),
            atoms=np.array([atom['pose'] for atom in atoms]) if atoms else None,
            mixtures=[
                mixture and GaussianMixture.from_records(mixture)
                for mixture in (atom['mixture'] for atom in atoms)
            ],
            people=[int(atom['people']) for atom in atoms],
            torso=(tuple(map(int, shoulders)), tuple(map(int, hips))),
        )
    except KeyError as error:
        raise ValueError(f'{path} is damaged: {error} is missing') from error
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path} is damaged: {error}') from error


def _read_record(path: str | Path) -> dict[str, Any]:
    """Read the JSON and check its format and version."""
    try:
        record = json.loads(Path(path).read_text('utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
    format_ = record.get('format') if isinstance(record, dict) else None
    if format_ != _FORMAT:
        raise ValueError(
            f'{path} is not a proposal model: format must be {_FORMAT!r}, got '
            f'{format_!r}'
        )
    if record.get('version') != _VERSION:
        raise ValueError(
            f'{path} has an unsupported version: version must be {_VERSION}, got '
            f'{record.get("version")!r}'
        )
    return record


def _vectors_on_one_line(text: str) -> str:
    """Join the lines of each innermost list of a JSON text."""
    return re.sub(
        r'\[\s+([^][{}]*?)\s+\]', lambda match: f'[{" ".join(match[1].split())}]', text
    )
