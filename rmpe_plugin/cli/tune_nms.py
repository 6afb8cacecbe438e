# SPDX-License-Identifier: Apache-2.0
r"""Learn the parameters of pose NMS from predictions and annotations, as in RMPE.

The parameters sigma1, sigma2, lambda and eta are searched in pairs; the other pair is
fixed. This repeats until the metric no longer improves: COCO's AP, or MPII's
multi-person mAP. The search runs once from each --start set, on the fitting split of
the images. On the held-out split, the learned parameters are compared with the
published ones and with MMPose's NMS.

--pred must contain the poses of all boxes, without NMS. To write it, run tools/test.py
with a detector's boxes, nms_mode='none' and
--cfg-options test_evaluator.outfile_prefix=PREFIX. An interrupted search, run again
with the same arguments, continues from journal.jsonl in --out.

Example:
    rmpe tune-nms --pred work_dirs/crowd/val.keypoints.json \
        --ann data/crowd/annotations/person_keypoints_val.json --out work_dirs/pose_nms
"""

import argparse
import os
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.fitting.evaluation_split import (
    METRICS,
    EvaluationSplit,
)
from rmpe_plugin.fitting.nms_comparison import MethodScores, compare_methods
from rmpe_plugin.fitting.nms_search import (
    DEFAULT_STARTS,
    SEARCHED,
    SearchResult,
    Trials,
    method_evaluation,
    normalized_start,
    search_parameters,
    search_settings,
)
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.utils.arguments import at_least, existing_file, share
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--pred', type=existing_file, required=True, help='COCO results'
    )
    parser.add_argument(
        '--ann', type=existing_file, required=True, help='COCO annotations'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument(
        '--start',
        nargs='+',
        default=list(DEFAULT_STARTS),
        help='presets or JSON files to start from; their other parameters are kept '
        f'(default: {" ".join(DEFAULT_STARTS)})',
    )
    parser.add_argument(
        '--fit-share',
        type=share,
        default=0.5,
        help='share of the images in the fitting split (default: 0.5)',
    )
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='seed of the split (default: 0)'
    )
    parser.add_argument(
        '--workers',
        type=at_least(1),
        default=os.cpu_count(),
        help='processes (default: number of CPU cores)',
    )
    parser.add_argument(
        '--metainfo',
        help="MMPose's file that describes the keypoints (default: the categories of "
        "--ann, or COCO's keypoints if they name none)",
    )
    parser.add_argument(
        '--metric',
        choices=METRICS,
        default='AP',
        help="COCO's AP, or MPII's multi-person mAP for annotations with head boxes "
        'or another reference length (default: AP)',
    )
    parser.add_argument(
        '--reference',
        default='head_box',
        help='entry of the annotations with the reference length of mAP (default: '
        'head_box)',
    )
    args = parser.parse_args()
    try:
        args.start = {name: PoseNMSParams.from_config(name) for name in args.start}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return args


def prepare(
    args: argparse.Namespace,
) -> tuple[EvaluationSplit, EvaluationSplit, dict[str, PoseNMSParams], Trials]:
    """Read both splits, the starts and the finished trials."""
    split = EvaluationSplit.from_files(
        args.pred, args.ann, args.metainfo, args.metric, args.reference
    )
    fitted, held_out = split.divide(args.fit_share, args.seed)
    starts = {
        name: normalized_start(params, len(split.sigmas))
        for name, params in args.start.items()
    }
    settings = search_settings(
        args.pred,
        args.ann,
        starts,
        args.fit_share,
        args.seed,
        args.metric,
        args.reference,
        args.metainfo,
    )
    return fitted, held_out, starts, Trials(args.out / 'journal.jsonl', settings)


def build_table(scores: dict[str, MethodScores], metric: str) -> Table:
    """Build the table of all methods."""
    table = Table(
        '', f'{metric}, fitting split', f'{metric}, held out', 'poses kept, held out'
    )
    for name, (fit_ap, held_out_ap, num_kept) in scores.items():
        table.add_row(name, f'{fit_ap:.4f}', f'{held_out_ap:.4f}', f'{num_kept}')
    return table


def draw(result: SearchResult, metric: str, path: Path) -> None:
    """Draw the metric over each pair of parameters, around the best point."""
    sweeps = result.sweeps
    figure, axes = plt.subplots(1, len(sweeps), figsize=(6 * len(sweeps), 5))
    for axis, ((first, second), points, values) in zip(
        axes, sweeps.values(), strict=True
    ):
        x, y = (
            np.unique([point[name] for point in points]) for name in (first, second)
        )
        ap = np.reshape(values, (len(x), len(y))).T
        steps = range(len(x))
        image = axis.imshow(ap, origin='lower', cmap='viridis')
        axis.set_xticks(steps, [f'{value:.3g}' for value in x], rotation=45)
        axis.set_yticks(steps, [f'{value:.3g}' for value in y])
        middle = len(x) // 2
        axis.plot(middle, middle, marker='*', color='red', markersize=14)
        axis.set(xlabel=first.strip('_'), ylabel=second.strip('_'))
        axis.set_title(f'{metric}, the other two at their best; best {ap.max():.4f}')
        figure.colorbar(image, ax=axis)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


@exit_status
def main() -> None:
    args = parse_args()
    console = table_console()
    fitted, held_out, starts, trials = prepare(args)
    console.print(
        f'fitting split: {len(fitted.predictions)} images with '
        f'{fitted.num_predictions} predicted poses; held-out split: '
        f'{len(held_out.predictions)} images with {held_out.num_predictions}'
    )
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with method_evaluation(fitted, args.workers) as evaluate:
        with Progress('{task.description}', *columns) as progress:
            result = search_parameters(starts, evaluate, trials, progress)
        scores = compare_methods(evaluate, held_out, result.params)
    result.params.to_json(args.out / 'pose_nms.json')
    draw(result, args.metric, args.out / 'search.png')

    values = ', '.join(
        f'{name.strip("_")} {getattr(result.params, name):.4g}' for name in SEARCHED
    )
    console.print(f'{len(trials)} trials; learned from {result.start}: {values}')
    console.print(build_table(scores, args.metric))
    for name in ('pose_nms.json', 'journal.jsonl', 'search.png'):
        print(args.out / name)
