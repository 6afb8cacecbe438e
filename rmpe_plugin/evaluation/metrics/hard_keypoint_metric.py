# SPDX-License-Identifier: Apache-2.0
"""Accuracy of both stages of a CPN on groups of easy and hard keypoints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.diagnosis.groups import keypoint_groups
from rmpe_plugin.evaluation.functional.annotation import person_annotation
from rmpe_plugin.ops import crowd_index, keypoint_accuracy, keypoint_similarity
from rmpe_plugin.structures import area_of
from rmpe_plugin.utils.tables import Table, log_tables

STAGES = {'global': 'GlobalNet', 'refine': 'RefineNet'}
# First group of each kind after the joints, for gaps in the chart.
GAPS_BEFORE = ('visible', 'easy')

# Number of keypoints, and the accuracies of GlobalNet and RefineNet.
Row = tuple[int, float, float]


@METRICS.register_module()
class HardKeypointMetric(BaseMetric):
    """Accuracy of GlobalNet and RefineNet on groups of keypoints.

    It measures whether RefineNet improves hard keypoints most. The accuracy of a
    keypoint is the fraction of COCO's ten OKS thresholds, 0.5 to 0.95, that its
    similarity (one term of OKS) reaches. It is averaged over all labelled keypoints and
    over these groups:

    - each joint, by its name;
    - ``visible`` (v = 2) and ``occluded``, the occluded keypoints (v = 1);
    - people by CrowdPose's crowd index: ``easy`` up to 0.1, ``medium`` up to 0.8,
      ``hard`` above.

    The metrics are ``hard/global``, ``hard/refine`` and their difference ``hard/gain``
    for all keypoints, and ``hard/gain_occluded`` and so on for each group that is not
    empty. They are also logged as a table.

    The model must be a CPN with ``model.test_cfg.output_global=True``, tested on
    ground-truth boxes.

    Args:
        out_dir (str, optional): Folder of a bar chart, ``hard_keypoints.png``. Defaults
            to ``None``: no chart.
        kwargs: Arguments of ``mmengine.evaluator.BaseMetric``.
    """

    default_prefix = 'hard'

    def __init__(self, out_dir: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_dir = None if out_dir is None else Path(out_dir)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the predictions and annotations of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Outputs of the model.

        Raises:
            ValueError: If a sample has no keypoints of GlobalNet or no annotation.
        """
        for sample in data_samples:
            predictions = sample['pred_instances']
            if 'global_keypoints' not in predictions:
                raise ValueError(
                    'HardKeypointMetric needs the keypoints of both stages of a '
                    'CPNHead: set model.test_cfg.output_global=True'
                )
            annotation = person_annotation(sample, 'HardKeypointMetric')
            result = _annotated_person(annotation)
            result['refine'] = np.asarray(predictions['keypoints'])[0]
            # The estimator maps only ``keypoints`` to the image.
            result['global'] = _to_image(predictions['global_keypoints'][0], sample)
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the metrics, log them as a table and draw the chart.

        Args:
            results (list[dict]): What :meth:`process` collected.

        Returns:
            dict[str, float]: Accuracies and gains.

        Raises:
            ValueError: If there are no labelled keypoints.
        """
        rows = self._accuracies(results)
        log_tables(_table(rows))
        if self.out_dir is not None:
            _save_chart(rows, self.out_dir / 'hard_keypoints.png')
        metrics = {}
        for name, (_, before, after) in rows.items():
            suffix = '' if name == 'all' else f'_{name}'
            metrics[f'global{suffix}'] = before
            metrics[f'refine{suffix}'] = after
            metrics[f'gain{suffix}'] = after - before
        return metrics

    def _accuracies(self, results: list[dict]) -> dict[str, Row]:
        """Average the accuracies of both stages over each group."""
        if not any((r['visibility'] > 0).any() for r in results):
            raise ValueError('HardKeypointMetric: no person has labelled keypoints')
        # A distributed sampler repeats people to fill the last batch.
        results = list({r['id']: r for r in results}.values())
        data = {key: np.array([r[key] for r in results]) for key in results[0]}
        sigmas = np.asarray(self.dataset_meta['sigmas'])
        accuracies = [
            keypoint_accuracy(
                keypoint_similarity(data[stage], data['gt'], data['area'], sigmas)
            )
            for stage in STAGES
        ]
        names = self.dataset_meta['keypoint_id2name']
        groups = _groups(data, [names[k] for k in range(len(sigmas))])
        rows = {}
        for name, mask in groups.items():
            if mask.any():
                before, after = (float(a[mask].mean()) for a in accuracies)
                rows[name] = int(mask.sum()), before, after
        return rows


def _annotated_person(annotation: dict) -> dict:
    """Get what the metric needs of a COCO annotation."""
    keypoints = np.reshape(annotation['keypoints'], (-1, 3)).astype(float)
    bbox = np.array(annotation['bbox'], float)
    return dict(
        id=annotation['id'],
        image=annotation['image_id'],
        gt=keypoints[:, :2],
        visibility=keypoints[:, 2],
        area=area_of(annotation),
        bbox=bbox,
    )


def _to_image(keypoints: np.ndarray, sample: dict) -> np.ndarray:
    """Map keypoints (K, 2) from the network input to the image."""
    center, scale, size = (
        np.asarray(sample[f'input_{name}']) for name in ('center', 'scale', 'size')
    )
    return np.asarray(keypoints) / size * scale + center - 0.5 * scale


def _groups(data: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """Compute the mask (N, K) of the labelled keypoints in each group."""
    visibility = data['visibility']
    boxes = bbox_xywh2xyxy(data['bbox'])
    crowding = crowd_index(data['gt'], visibility > 0, boxes, data['image'])
    return keypoint_groups(visibility, crowding, names)


def _table(rows: dict[str, Row]) -> Table:
    """Table of the rows."""
    cells = [
        (name, str(number), f'{before:.3f}', f'{after:.3f}', f'{after - before:+.3f}')
        for name, (number, before, after) in rows.items()
    ]
    return Table(('keypoints', 'number', *STAGES.values(), 'gain'), cells)


def _save_chart(rows: dict[str, Row], path: Path) -> None:
    """Draw the accuracies of both stages in each group as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.5), layout='constrained')
    axes = figure.subplots()
    gaps = [name in GAPS_BEFORE for name in rows]
    gaps[1] = True
    positions = np.arange(len(rows)) + 0.6 * np.cumsum(gaps)
    for i, (stage, shift) in enumerate(zip(STAGES.values(), (-0.2, 0.2), strict=True)):
        heights = [row[1 + i] for row in rows.values()]
        axes.bar(positions + shift, heights, 0.4, label=stage)
    labels = [f'{name}\n({row[0]})' for name, row in rows.items()]
    axes.set_xticks(positions, labels, rotation=60, ha='right', fontsize=8)
    axes.set_ylabel('accuracy over OKS 0.5 to 0.95')
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
