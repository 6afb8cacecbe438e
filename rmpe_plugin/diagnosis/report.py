# SPDX-License-Identifier: Apache-2.0
"""Report of a diagnosis: tables and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmpe_plugin.ops import find_atoms
from rmpe_plugin.ops.evaluation.error_types import KEYPOINT_TYPES
from rmpe_plugin.utils.files import atomic_write
from rmpe_plugin.utils.tables import Table

from .corrections import ap_gains
from .diagnosis import Diagnosis
from .examples import (
    EXAMPLE_TYPES,
    Example,
    changed_people,
    prediction_of,
    worst_examples,
)
from .pictures import PictureMaker, data_url
from .plots import plot_gains, plot_scores, plot_types

NUM_ATOMS = 11
TEMPLATE = Path(__file__).with_name('page.html.jinja')


@dataclass
class ModelReport:
    """Diagnosis of a model with the AP that each correction gains.

    Args:
        name (str): Name of the model.
        diagnosis (Diagnosis): Its error types.
        ap (float): AP, 0 to 1, or multi-person mAP, percent.
        gains (dict[str, float]): Gain of AP by correction.
        group_gains (dict[str, float]): Gain of AP by group of keypoints.
        kinds (dict[str, tuple[int, int]]): See :meth:`Diagnosis.kinds`.
    """

    name: str
    diagnosis: Diagnosis
    ap: float
    gains: dict[str, float]
    group_gains: dict[str, float]
    kinds: dict[str, tuple[int, int]]

    @classmethod
    def of(
        cls,
        name: str,
        diagnosis: Diagnosis,
        track: Callable[[list], Iterable] = iter,
    ) -> ModelReport:
        """Compute the AP of all corrections.

        Args:
            name (str): Name of the model.
            diagnosis (Diagnosis): Its error types.
            track (Callable): Wraps the list of corrections, to show progress. Defaults
                to ``iter``.

        Returns:
            ModelReport: The report.
        """
        ap, gains, group_gains = ap_gains(diagnosis, track)
        kinds = diagnosis.kinds(_atoms(diagnosis))
        return cls(name, diagnosis, ap, gains, group_gains, kinds)

    @property
    def metric(self) -> str:
        """Name of the AP."""
        return 'AP' if self.diagnosis.poses.reference is None else 'multi-person mAP'

    def tables(self) -> list[Table]:
        """Tables of errors, of keypoint groups and of RMPE's kinds of failures."""
        return [self._error_table(), self._group_table(), self._kind_table()]

    def _error_table(self) -> Table:
        """Number of each error and the AP gained by its correction."""
        keypoints = self.diagnosis.keypoint_counts()['all']
        counts = self.diagnosis.person_counts()
        counts.update(zip(KEYPOINT_TYPES, keypoints.tolist(), strict=False))
        rows = [
            (name, str(counts.get(name, '')), self._gain(gain))
            for name, gain in self.gains.items()
        ]
        title = f'{self.metric} {self._value(self.ap)}'
        return Table(('error', 'number', f'gain of {title}'), rows)

    def _group_table(self) -> Table:
        """Share of each keypoint type by group, and the AP that the group gains."""
        rows = []
        for name, counts in self.diagnosis.keypoint_counts().items():
            shares = [f'{share:.1%}' for share in counts / counts.sum()]
            gain = self.group_gains.get(name)
            cell = '' if gain is None else self._gain(gain)
            rows.append((name, str(counts.sum()), *shares, cell))
        header = ('keypoints', 'number', *KEYPOINT_TYPES, 'person missed', 'gain')
        return Table(header, rows)

    def _kind_table(self) -> Table:
        """RMPE's kinds of failures."""
        rows = [
            (name, str(number), str(failed), f'{failed / max(1, number):.0%}')
            for name, (number, failed) in self.kinds.items()
        ]
        return Table(('kind of failure', 'number', 'failed', 'share'), rows)

    def _gain(self, value: float) -> str:
        return f'+{self._value(value)}' if value >= 0 else self._value(value)

    def _value(self, value: float) -> str:
        """AP is 0 to 1, mAP is in percent."""
        return f'{value:.3f}' if self.metric == 'AP' else f'{value:.1f}'


def write_page(
    reports: Sequence[ModelReport], images: Path, path: Path, number: int = 12
) -> PictureMaker:
    """Write a self-contained HTML page.

    Args:
        reports (Sequence[ModelReport]): One or two models, on the same annotations.
        images (Path): Folder of the images.
        path (Path): File to write.
        number (int): Number of examples of each type and model. Defaults to 12.

    Returns:
        PictureMaker: Its ``missing`` names images that cannot be read.

    Raises:
        ImportError: If jinja2 or matplotlib (the extra ``learn``) is not installed.
        OSError: If the file cannot be written.
    """
    from jinja2 import Environment

    pictures = PictureMaker(images)
    first = reports[0].diagnosis
    cards = [card for report in reports for card in _cards(report, pictures, number)]
    filters = {'model': [r.name for r in reports]} if len(reports) > 1 else {}
    errors = {card['error'] for card in cards}
    filters |= dict(
        type=[error for error in EXAMPLE_TYPES if error in errors],
        joint=first.names,
        size=['small', 'medium', 'large'],
    )  # fmt: skip
    page = Environment(autoescape=True).from_string(TEMPLATE.read_text())
    text = page.render(
        num_images=len(first.images),
        num_people=len(first.people.oks),
        thresholds=first.thresholds,
        models=[dict(name=r.name, tables=r.tables()) for r in reports],
        plots=_plots(reports),
        changes=_changes(reports, pictures, number),
        types=filters['type'],
        filters=filters,
        cards=cards,
    )
    with atomic_write(path) as file:
        file.write(text)
    return pictures


def _atoms(diagnosis: Diagnosis) -> np.ndarray | None:
    """Atomic poses of the annotated people; ``None`` for too few people."""
    aligned = diagnosis.people.aligned
    known = aligned[np.isfinite(aligned).any(axis=(1, 2))]
    return find_atoms(known, NUM_ATOMS) if len(known) > 2 * NUM_ATOMS else None


def _cards(
    report: ModelReport, pictures: PictureMaker, number: int
) -> list[dict[str, Any]]:
    """Examples of a model for the page."""
    diagnosis = report.diagnosis
    names = diagnosis.names
    return [
        dict(
            model=report.name,
            error=example.error,
            joints=[names[k] for k in example.joints],
            size=example.size,
            picture=pictures.draw(diagnosis, example),
            caption=_caption(diagnosis, example),
        )
        for example in worst_examples(diagnosis, number)
    ]


def _caption(diagnosis: Diagnosis, example: Example) -> str:
    """Image, joints, score and OKS of an example."""
    image = diagnosis.images[example.image]
    parts = [image.image.get('file_name', f'image {image.image["id"]}')]
    parts += [diagnosis.names[k].replace('_', ' ') for k in example.joints]
    if example.prediction >= 0:
        parts.append(f'score {image.scores[example.prediction]:.2f}')
        oks = diagnosis.types[example.image].oks[example.prediction]
        parts.append(f'OKS {oks:.2f}')
    return ', '.join(parts)


def _changes(
    reports: Sequence[ModelReport], pictures: PictureMaker, number: int
) -> dict[str, list[dict]]:
    """Improved and worsened people of two models."""
    if len(reports) != 2:
        return {}
    before, after = (report.diagnosis for report in reports)
    kinds = changed_people(before, after, number)
    return {
        title: [_change(before, after, example, pictures) for example in examples]
        for title, examples in zip(('Improved', 'Worsened'), kinds, strict=True)
    }


def _change(
    before: Diagnosis, after: Diagnosis, example: Example, pictures: PictureMaker
) -> dict[str, Any]:
    """Pictures and OKS of a person with both models."""
    drawn, values = [], []
    for diagnosis in (before, after):
        prediction = prediction_of(diagnosis, example.image, example.person)
        shown = replace(example, prediction=prediction)
        drawn.append(pictures.draw(diagnosis, shown))
        oks = diagnosis.types[example.image].oks
        values.append(f'{oks[prediction]:.2f}' if prediction >= 0 else 'missed')
    record = before.images[example.image].image
    name = record.get('file_name', f'image {record["id"]}')
    return dict(pictures=drawn, caption=f'{name}, OKS {values[0]} to {values[1]}')


def _plots(reports: Sequence[ModelReport]) -> list[str]:
    """Plots as data URLs."""
    plots = [
        plot_gains({r.name: r.gains for r in reports}),
        *(plot_types(report.diagnosis) for report in reports),
        plot_scores({r.name: r.diagnosis for r in reports}),
    ]
    return [data_url('png', plot) for plot in plots]
