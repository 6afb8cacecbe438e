# SPDX-License-Identifier: Apache-2.0
"""HOTA, CLEAR and IDF1 from matrices of similarities, by the package trackers."""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np


class TrackedVideo(NamedTuple):
    """People and predictions of a video, one array per frame.

    Attributes:
        gt_ids (list[np.ndarray]): Ids of the people (G,), integers.
        ids (list[np.ndarray]): Ids of the predictions (P,), integers.
        similarity (list[np.ndarray]): Similarities (G, P), between 0 and 1.
    """

    gt_ids: list[np.ndarray]
    ids: list[np.ndarray]
    similarity: list[np.ndarray]


def import_trackers_eval() -> ModuleType:
    """Import the evaluation of the package trackers.

    Returns:
        ModuleType: ``trackers.eval``.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    try:
        import trackers.eval
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'metrics of tracking need the package trackers: '
            "pip install 'rmpe_plugin[track]'",
            name=error.name,
        ) from error
    return trackers.eval


def video_metrics(video: TrackedVideo, threshold: float = 0.5) -> list[dict]:
    """Evaluate the tracks of one video.

    Args:
        video (TrackedVideo): The video.
        threshold (float): Smallest similarity of a match for CLEAR and IDF1. HOTA is
            the mean over the thresholds 0.05, 0.1, ..., 0.95. Defaults to 0.5.

    Returns:
        list[dict]: The counts of HOTA, CLEAR and IDF1, for :func:`combine_videos`.
    """
    evaluation = import_trackers_eval()
    arguments = video.gt_ids, video.ids, video.similarity
    return [
        evaluation.compute_hota_metrics(*arguments),
        evaluation.compute_clear_metrics(*arguments, threshold=threshold),
        evaluation.compute_identity_metrics(*arguments, threshold=threshold),
    ]


def combine_videos(videos: Sequence[list[dict]]) -> dict[str, float]:
    """Compute the metrics of several videos from their summed counts.

    Args:
        videos (Sequence[list[dict]]): Results of :func:`video_metrics`.

    Returns:
        dict[str, float]: ``HOTA``, ``DetA``, ``AssA``, ``MOTA``, ``IDF1`` (all at most
        1), and ``IDSW``, the number of identity switches.

    Raises:
        ValueError: If there are no videos.
    """
    if not videos:
        raise ValueError('videos must not be empty')
    evaluation = import_trackers_eval()
    hota, clear, identity = (list(parts) for parts in zip(*videos, strict=True))
    combined = {
        **evaluation.aggregate_hota_metrics(hota),
        **evaluation.aggregate_clear_metrics(clear),
        **evaluation.aggregate_identity_metrics(identity),
    }
    names = ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1', 'IDSW')
    return {name: float(combined[name]) for name in names}
