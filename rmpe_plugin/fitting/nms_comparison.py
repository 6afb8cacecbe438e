# SPDX-License-Identifier: Apache-2.0
"""Compare NMS methods on a fitting and a held-out split."""

from functools import partial
from typing import NamedTuple

from rmpe_plugin.ops import PoseNMSParams

from .evaluation_split import EvaluationSplit
from .nms_methods import (
    MMPOSE_NMS,
    OKS_THRESHOLDS,
    PRESETS,
    Method,
    no_nms,
    oks_methods,
    parametric_nms,
)
from .nms_search import Evaluate


class MethodScores(NamedTuple):
    """AP of an NMS method.

    Attributes:
        fit_ap (float): On the fitting split.
        held_out_ap (float): On the held-out split.
        num_kept (int): Number of poses kept on the held-out split.
    """

    fit_ap: float
    held_out_ap: float
    num_kept: int


def compare_methods(
    evaluate: Evaluate, held_out: EvaluationSplit, learned: PoseNMSParams
) -> dict[str, MethodScores]:
    """Compare learned parameters with the presets, MMPose's NMS and no NMS.

    Args:
        evaluate (Callable): AP of methods on the fitting split, see
            :func:`~rmpe_plugin.fitting.nms_search.method_evaluation`.
        held_out (EvaluationSplit): The held-out split.
        learned (PoseNMSParams): The learned parameters.

    Returns:
        dict[str, MethodScores]: Scores by method. MMPose's methods have two rows each:
        their default threshold and the best one on the fitting split.
    """
    methods = _all_methods(learned)
    fit_aps = dict(zip(methods, evaluate(methods.values()), strict=True))
    scores = {}
    for row, name in _rows(fit_aps).items():
        people = methods[name](held_out)
        ap = held_out.score(people)
        scores[row] = MethodScores(fit_aps[name], ap, len(people))
    return scores


def _all_methods(learned: PoseNMSParams) -> dict[str, Method]:
    """All methods by name."""
    methods: dict[str, Method] = {'no NMS': no_nms}
    for name in MMPOSE_NMS:
        for threshold, method in oks_methods(name).items():
            methods[f'{name} {threshold}'] = method
    for name in PRESETS:
        methods[name] = partial(parametric_nms, params=PoseNMSParams.preset(name))
    methods['learned'] = partial(parametric_nms, params=learned)
    return methods


def _rows(fit_aps: dict[str, float]) -> dict[str, str]:
    """Title of each row, and the method that it shows."""
    rows = {'no NMS': 'no NMS'}
    for name in MMPOSE_NMS:
        methods = [f'{name} {threshold}' for threshold in OKS_THRESHOLDS]
        rows[f"{methods[-1]} (MMPose's default)"] = methods[-1]
        best = max(methods, key=lambda method: (fit_aps[method], method))
        rows[f'{best} (best of {len(methods)})'] = best
    return rows | {name: name for name in (*PRESETS, 'learned')}
