# SPDX-License-Identifier: Apache-2.0
"""Reliability diagram of keypoint scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS
from scipy.special import expit

from rmpe_plugin.evaluation.functional.annotation import person_annotation
from rmpe_plugin.evaluation.functional.score_calibration import fit_calibration
from rmpe_plugin.ops import Reliability, reliability
from rmpe_plugin.utils.tables import Table, log_tables


@METRICS.register_module()
class ScoreReliabilityMetric(BaseMetric):
    """Whether keypoint scores are the probability that a keypoint is correct.

    A labelled keypoint is correct (PCK) if its distance from the annotation is at most
    ``thr`` times the longer side of the ground-truth box. The metrics are
    ``reliability/pck``, the fraction of correct keypoints; ``reliability/score``, the
    mean score; and ``reliability/error``, the expected calibration error, see
    :func:`rmpe_plugin.ops.reliability`. The bins are logged as a table.

    A calibration, ``reliability/slope`` and ``reliability/intercept``, is fitted to
    every other person. ``reliability/calibrated_error`` is the error that it has on the
    other people. It is for ``calibration`` of :class:`CPNHeatmap`; test with
    ``calibration=None`` there to fit a new one. The fit needs scikit-learn (the extra
    ``learn``).

    The model must be tested on ground-truth boxes.

    Args:
        thr (float): Largest distance of a correct keypoint, relative to the longer side
            of the box. Defaults to 0.05.
        out_dir (str, optional): Folder of a diagram, ``reliability.png``. Defaults to
            ``None``: no diagram.
        kwargs: Arguments of ``mmengine.evaluator.BaseMetric``.
    """

    default_prefix = 'reliability'

    def __init__(
        self,
        thr: float = 0.05,
        out_dir: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.thr = thr
        self.out_dir = None if out_dir is None else Path(out_dir)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the scores of a batch and whether the keypoints are correct.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Outputs of the model.

        Raises:
            ValueError: If a sample has no annotation.
        """
        for sample in data_samples:
            annotation = person_annotation(sample, 'ScoreReliabilityMetric')
            gt = np.reshape(annotation['keypoints'], (-1, 3))
            pose = sample['pred_instances']
            distance = np.linalg.norm(pose['keypoints'][0] - gt[:, :2], axis=1)
            correct = distance <= self.thr * max(annotation['bbox'][2:])
            labelled = gt[:, 2] > 0
            scores = pose['keypoint_scores'][0].clip(0, 1)
            self.results.append((scores[labelled], correct[labelled]))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Compute the metrics, log the bins as a table and draw the diagram.

        Args:
            results (list[tuple]): What :meth:`process` collected.

        Returns:
            dict[str, float]: The metrics, see the class.

        Raises:
            ValueError: If there are no labelled keypoints.
        """
        scores, correct = (np.concatenate(x) for x in zip(*results, strict=True))
        bins = reliability(scores, correct)
        log_tables(_table(bins))
        if self.out_dir is not None:
            _save_diagram(bins, self.thr, self.out_dir / 'reliability.png')
        slope, intercept, error = _fit(results[::2], results[1::2] or results)
        return dict(
            pck=float(correct.mean()),
            score=float(scores.mean()),
            error=bins.calibration_error,
            slope=slope,
            intercept=intercept,
            calibrated_error=error,
        )


def _fit(fitted: list[tuple], held_out: list[tuple]) -> tuple[float, float, float]:
    """Fit a calibration to people; slope, intercept and error on other people."""
    slope, intercept = fit_calibration(*map(np.concatenate, zip(*fitted, strict=True)))
    scores, correct = map(np.concatenate, zip(*held_out, strict=True))
    calibrated = expit(slope * scores + intercept)
    return slope, intercept, reliability(calibrated, correct).calibration_error


def _table(bins: Reliability) -> Table:
    """Table of the bins."""
    rows = []
    for i, (number, score, correct) in enumerate(zip(*bins, strict=True)):
        low, high = i / len(bins.number), (i + 1) / len(bins.number)
        name = f'{low:.1f} to {high:.1f}'
        rows.append((name, str(number), f'{score:.3f}', f'{correct:.3f}'))
    return Table(('score', 'keypoints', 'mean score', 'PCK'), rows)


def _save_diagram(bins: Reliability, thr: float, path: Path) -> None:
    """Draw PCK over the score, and the number of keypoints in each bin."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 6), layout='constrained')
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    width = 1 / len(bins.number)
    centres = (np.arange(len(bins.number)) + 0.5) * width
    upper.plot([0, 1], [0, 1], '--', color='grey', label='calibrated')
    upper.bar(centres, bins.correct, 0.95 * width, label='PCK')
    upper.plot(bins.score, bins.correct, 'o', color='black', label='mean of the bin')
    upper.set_ylabel(f'PCK at {thr:g} of the box')
    upper.set_title(f'expected calibration error {bins.calibration_error:.3f}')
    upper.legend()
    lower.bar(centres, bins.number, 0.95 * width)
    lower.set(xlabel='keypoint score', ylabel='keypoints', xlim=(0, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
