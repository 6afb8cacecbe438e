# SPDX-License-Identifier: Apache-2.0
"""COCO's AP with the types of errors behind it."""

import json
from pathlib import Path

from mmpose.registry import METRICS

from rmpe_plugin.diagnosis import DiagnosedPoses, Diagnosis, ModelReport
from rmpe_plugin.structures import read_annotations
from rmpe_plugin.utils.tables import log_tables

from .pose_nms_coco_metric import PoseNMSCocoMetric


@METRICS.register_module()
class PoseErrorMetric(PoseNMSCocoMetric):
    """``PoseNMSCocoMetric`` that also logs which errors occur and what each costs.

    The tables are those of ``rmpe diagnose``: the number of each type of error and
    the AP that its correction alone would gain; the types of each joint; RMPE's kinds
    of failures. The gains are also metrics, such as ``errors/gain_jitter``. COCO's
    metrics have the same prefix, such as ``errors/AP``, so that they do not collide
    with those of a ``PoseNMSCocoMetric`` beside it.

    Args:
        kwargs: As :class:`PoseNMSCocoMetric`'s. ``ann_file`` is required.

    Raises:
        ValueError: If ``ann_file`` is missing.
    """

    default_prefix = 'errors'

    def __init__(self, **kwargs) -> None:
        if kwargs.get('ann_file') is None:
            raise ValueError(
                'evaluator.ann_file is missing: PoseErrorMetric needs the annotations'
            )
        super().__init__(**kwargs)
        self._annotations = read_annotations(Path(kwargs['ann_file']))
        if not self.use_area:
            for annotation in self._annotations['annotations']:
                annotation.pop('area', None)
        self._records: list[dict] = []

    def results2json(self, keypoints: dict[int, list], outfile_prefix: str) -> str:
        """Write the results, see :class:`PoseNMSCocoMetric`, and keep them.

        Args:
            keypoints (dict[int, list]): Predicted persons of each image.
            outfile_prefix (str): Path of the file to write without the suffix
                ``.keypoints.json``.

        Returns:
            str: See ``CocoMetric``.
        """
        path = super().results2json(keypoints, outfile_prefix)
        self._records = json.loads(Path(f'{outfile_prefix}.keypoints.json').read_text())
        return path

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute AP, log the tables of errors and add the gains.

        Args:
            results (list): Predictions of all images.

        Returns:
            dict[str, float]: COCO's metrics, and the gain of each correction.
        """
        metrics = super().compute_metrics(results)
        poses = DiagnosedPoses(self._annotations, self._records, self.dataset_meta)
        report = ModelReport.of('', Diagnosis(poses))
        log_tables(*report.tables())
        for name, gain in report.gains.items():
            metrics[f'gain_{name.replace(" ", "_")}'] = gain
        return metrics
