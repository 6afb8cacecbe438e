# SPDX-License-Identifier: Apache-2.0
"""The gain of the variants against the quality of the boxes."""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

from rmpe_plugin.fitting.evaluation_split import METRICS

from . import plan
from .report import Results, changes

_MARKERS = {
    'ground truth': 'D', 'PGPG': 'o', 'detector': 's', 'truncated': 'v',
    'two people': 'X',
}  # fmt: skip


def draw(results: Results, sets: dict[str, plan.BoxSet], path: Path) -> None:
    """Draw the change from no SSTN against the IoU of the crops, a panel per metric.

    The SSTN with the parallel SPPE is shown on all box sets with its intervals, the
    other alternatives on PGPG's boxes.

    Args:
        results (Results): The results.
        sets (dict[str, BoxSet]): The box sets by name.
        path (Path): The picture.
    """
    figure, axes = plt.subplots(1, len(METRICS), figsize=(12, 5), sharex=True)
    for axis, metric in zip(axes, METRICS, strict=True):
        found = changes(results.metrics, metric)
        _draw_full(axis, results, sets, found.pop(plan.FULL, {}))
        for variant, by_set in found.items():
            if plan.VARIANTS[variant].alternative:
                pgpg = [name for name in by_set if sets[name].family == 'PGPG']
                axis.plot(
                    [results.quality[name]['iou'] for name in pgpg],
                    [100 * by_set[name].mean for name in pgpg],
                    linewidth=1,
                    label=f"{variant} (PGPG's boxes)",
                )
        axis.axhline(0, color='grey', linewidth=0.8)
        axis.set_xlabel('IoU of crops with ground-truth windows')
        axis.set_ylabel(f'change of {metric} from no SSTN, percentage points')
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='lower center', ncols=3, fontsize=8)
    figure.tight_layout(rect=(0, 0.2, 1, 1))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw_full(
    axis: plt.Axes, results: Results, sets: dict[str, plan.BoxSet], by_set: dict
) -> None:
    """Draw the SSTN with the parallel SPPE, a marker per family of boxes."""
    for family, marker in _MARKERS.items():
        names = [name for name in by_set if sets[name].family == family]
        if not names:
            continue
        x = [results.quality[name]['iou'] for name in names]
        y = np.array([100 * by_set[name].mean for name in names])
        low, high = np.array([by_set[name].interval for name in names]).T * 100
        # An interval need not contain the mean.
        error = np.maximum((y - low, high - y), 0)
        axis.errorbar(
            x, y, error, fmt=marker, color='black', capsize=2, linewidth=1,
            label=f'{plan.FULL}: {family}',
        )  # fmt: skip
