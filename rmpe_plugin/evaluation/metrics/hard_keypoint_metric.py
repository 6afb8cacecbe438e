# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from mmpose.structures.bbox import bbox_xywh2xyxy
from rich.console import Console
from rich.table import Table

from rmpe_plugin.ops import crowd_index, keypoint_accuracy, keypoint_similarity

STAGES = {'global': 'GlobalNet', 'refine': 'RefineNet'}
# CrowdPose's levels: up to a crowd index of so much.
CROWDING = {'easy': 0.1, 'medium': 0.8, 'hard': 1.0}
GAPS_BEFORE = ('visible', 'easy')


@METRICS.register_module()
class HardKeypointMetric(BaseMetric):
    """Does RefineNet help the hard joints? Accuracy of both stages of a CPN, in groups.

    A keypoint's accuracy is the share of COCO's ten thresholds that its similarity,
    the term of OKS, reaches. It is averaged over all labelled keypoints, and over those
    of each joint, of each visibility (COCO's v = 2, visible, and v = 1, hidden) and of
    people in each level of crowding, as CrowdPose divides its images: a crowd index up
    to 0.1 is easy, up to 0.8 medium, above hard. Gives ``hard/global``,
    ``hard/refine`` and their difference ``hard/gain``, the same of each group as
    ``hard/gain_hidden`` and so on, and logs them all as a table.

    For a CPN on true boxes, with ``model.test_cfg.output_global=True``.

    Args:
        out_dir (str, optional): Where to write a bar chart, ``hard_keypoints.png``.
            Defaults to ``None``, nowhere.
        kwargs: As ``mmengine.evaluator.BaseMetric``'s.
    """

    default_prefix = 'hard'

    def __init__(self, out_dir: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_dir = None if out_dir is None else Path(out_dir)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect a batch of predictions.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): The model's outputs.

        Raises:
            ValueError: If a sample has no GlobalNet's keypoints, or no annotation.
        """
        for sample in data_samples:
            found = sample['pred_instances']
            if 'global_keypoints' not in found:
                raise ValueError(
                    'HardKeypointMetric needs the keypoints of both stages of a '
                    'CPNHead: set model.test_cfg.output_global=True'
                )
            truth = sample.get('raw_ann_info')
            if truth is None or 'keypoints' not in truth:
                raise ValueError(
                    'HardKeypointMetric needs the annotation of each person: set '
                    'test_dataloader.dataset.bbox_file=None'
                )
            joints = np.reshape(truth['keypoints'], (-1, 3)).astype(float)
            box = np.array(truth['bbox'], float)
            self.results.append(
                dict(
                    id=truth['id'],
                    image=truth['image_id'],
                    true=joints[:, :2],
                    visibility=joints[:, 2],
                    # Without an area people are measured by their boxes, as
                    # CrowdPose's are.
                    area=truth.get('area', 0.53 * box[2] * box[3]),
                    box=box,
                    refine=np.asarray(found['keypoints'])[0],
                    # The estimator brings ``keypoints`` into the image, no others.
                    **{'global': _to_image(found['global_keypoints'][0], sample)},
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average, log the table and draw the chart.

        Args:
            results (list[dict]): What was collected.

        Returns:
            dict[str, float]: Accuracies and gains.

        Raises:
            ValueError: If there are no labelled keypoints.
        """
        if not any((r['visibility'] > 0).any() for r in results):
            raise ValueError('HardKeypointMetric: nobody has labelled keypoints')
        # A distributed sampler fills up with people it had before.
        results = list({r['id']: r for r in results}.values())
        data = {key: np.array([r[key] for r in results]) for key in results[0]}
        sigmas = np.asarray(self.dataset_meta['sigmas'])
        accuracies = {
            stage: keypoint_accuracy(
                keypoint_similarity(data[stage], data['true'], data['area'], sigmas)
            )
            for stage in STAGES
        }
        names = self.dataset_meta['keypoint_id2name']
        groups = _groups(data, [names[k] for k in range(len(sigmas))])
        rows = {
            name: [int(mask.sum()), *(a[mask].mean() for a in accuracies.values())]
            for name, mask in groups.items()
            if mask.any()
        }
        MMLogger.get_current_instance().info('\n' + _table(rows))
        if self.out_dir is not None:
            _chart(rows, self.out_dir / 'hard_keypoints.png')
        metrics = {}
        for name, (_, before, after) in rows.items():
            suffix = '' if name == 'all' else f'_{name}'
            metrics[f'global{suffix}'] = float(before)
            metrics[f'refine{suffix}'] = float(after)
            metrics[f'gain{suffix}'] = float(after - before)
        return metrics


def _to_image(keypoints: np.ndarray, sample: dict) -> np.ndarray:
    """Bring keypoints (K, 2) of the network input into the image."""
    center, scale, size = (
        np.asarray(sample[f'input_{name}']) for name in ('center', 'scale', 'size')
    )
    return np.asarray(keypoints) / size * scale + center - 0.5 * scale


def _groups(data: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """For each group which keypoints (N, K) are in it; labelled ones alone."""
    visibility = data['visibility']
    labelled = visibility > 0
    crowding = crowd_index(
        data['true'], labelled, bbox_xywh2xyxy(data['box']), data['image']
    )
    groups = {'all': labelled}
    for k, name in enumerate(names):
        groups[name] = labelled & (np.arange(len(names)) == k)
    groups['visible'] = visibility == 2
    groups['hidden'] = visibility == 1
    low = -1.0
    for level, high in CROWDING.items():
        people = (crowding > low) & (crowding <= high)
        groups[level] = labelled & people[:, None]
        low = high
    return groups


def _table(rows: dict[str, list]) -> str:
    """The rows as text."""
    table = Table('keypoints', 'number', *STAGES.values(), 'gain')
    for name, (number, before, after) in rows.items():
        gain = f'{after - before:+.3f}'
        table.add_row(name, str(number), f'{before:.3f}', f'{after:.3f}', gain)
    console = Console(width=88)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _chart(rows: dict[str, list], path: Path) -> None:
    """Bars of both stages, group by group."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.5), layout='constrained')
    axes = figure.subplots()
    # a gap where groups of another kind begin
    gaps = [name in GAPS_BEFORE for name in rows]
    gaps[1] = True
    places = np.arange(len(rows)) + 0.6 * np.cumsum(gaps)
    for i, (stage, shift) in enumerate(zip(STAGES.values(), (-0.2, 0.2), strict=True)):
        heights = [row[1 + i] for row in rows.values()]
        axes.bar(places + shift, heights, 0.4, label=stage)
    labels = [f'{name}\n({row[0]})' for name, row in rows.items()]
    axes.set_xticks(places, labels, rotation=60, ha='right', fontsize=8)
    axes.set_ylabel('accuracy over OKS 0.5 to 0.95')
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
