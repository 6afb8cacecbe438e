# SPDX-License-Identifier: Apache-2.0
r"""Compare trackers of boxes and of poses on synthetic videos of groups.

Renders videos, predicts poses with the quickstart's models (run tools/quickstart.sh
first), and simulates others. Tunes the settings of each tracker on the videos of one
seed, and evaluates it on those of other seeds, with and without pose NMS before. Needs
the extra track. Writes results.json, table.md, tracking.png and an animation to
--work-dir. An interrupted run continues with what is missing there.

Example:
    python -m experiments.tracking --seeds 0 1 2 --videos 4
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from mmengine.fileio import dump, load
from rich.progress import track as progress

from experiments.comparison import add_seeds
from experiments.tracking.animation import write_animation
from experiments.tracking.data import KINDS
from experiments.tracking.methods import METHODS, track
from experiments.tracking.study import (
    BOX_TRACKERS,
    METRICS,
    Videos,
    count,
    evaluate,
    load_videos,
    perfect_association,
    summarise,
    tune,
)
from rmpe_plugin.evaluation.functional.tracking import combine_videos
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.files import atomic_write

PERFECT = 'perfect association'
# What the animation shows.
SHOWN = 'OKS and IoU'
NMS_LABELS = {False: 'no', True: 'yes'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/tracking'))
    add_seeds(parser, (0, 1, 2))
    parser.add_argument(
        '--tuning-seed', type=at_least(0), default=100, help='default: %(default)s'
    )
    parser.add_argument(
        '--videos',
        type=at_least(1),
        default=4,
        help='videos of each seed (default: %(default)s)',
    )
    args = parser.parse_args()
    if args.tuning_seed in args.seeds:
        parser.error(f'--tuning-seed must not be among --seeds, got {args.tuning_seed}')
    return args


def count_all(videos: list[Videos], settings: dict, folder: Path) -> dict:
    """Counts of each video by kind of poses, tracker and pose NMS."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    runs = [
        (kind, method, pose_nms)
        for kind in KINDS
        for method in METHODS
        for pose_nms in (False, True)
    ]
    for kind, method, pose_nms in progress(runs, 'tracking'):
        path = folder / f'{kind}-{method.name}-{pose_nms}.pkl'
        if not path.is_file():
            chosen = settings[method.name]
            parts = [evaluate(v, kind, method, chosen, pose_nms) for v in videos]
            dump(sum(parts, []), path)
        counts[kind, method.name, pose_nms] = load(path)
    for kind in KINDS:
        counts[kind, PERFECT, False] = [
            count(v, i, perfect_association(v.annotated[i], poses))
            for v in videos
            for i, poses in enumerate(v.poses[kind])
        ]
    return counts


def summarise_all(counts: dict) -> list[dict]:
    """Rows of the table: metrics and intervals of each tracker."""
    rows = []
    for kind in KINDS:
        boxes = [key for key in counts if key[0] == kind and key[1] in BOX_TRACKERS]
        best = max(boxes, key=lambda key: combine_videos(counts[key])['HOTA'])
        for key, videos in counts.items():
            if key[0] == kind:
                summary = summarise(videos, counts[best])
                rows.append(dict(kind=kind, tracker=key[1], pose_nms=key[2], **summary))
    return rows


def to_markdown(rows: list[dict], num_videos: int) -> str:
    """Format a table for each kind of poses."""
    lines = []
    for kind, title in KINDS.items():
        lines += [
            f'### {title[0].upper()}{title[1:]}',
            '',
            '| tracker | pose NMS | HOTA | AssA | MOTA | IDF1 | switches per video |'
            ' HOTA minus best box tracker |',
            '|---|---|---|---|---|---|---|---|',
        ]
        for row in (row for row in rows if row['kind'] == kind):
            low, high = row['HOTA_interval']
            least, most = row['IDSW_interval']
            worse, better = row['HOTA_difference']
            lines.append(
                f'| {row["tracker"]} | {NMS_LABELS[row["pose_nms"]]} '
                f'| {row["HOTA"]:.3f} ({low:.3f} to {high:.3f}) | {row["AssA"]:.3f} '
                f'| {row["MOTA"]:.3f} | {row["IDF1"]:.3f} '
                f'| {row["IDSW"]:.1f} ({least:.1f} to {most:.1f}) '
                f'| {worse:+.3f} to {better:+.3f} |'
            )
        lines.append('')
    lines.append(f'{num_videos} videos; 95 % bootstrap intervals over the videos.')
    return '\n'.join(lines) + '\n'


def draw(rows: list[dict], path: Path) -> None:
    """Draw HOTA and switches of all trackers with pose NMS."""
    figure, axes = plt.subplots(
        2, len(KINDS), figsize=(3 * len(KINDS), 5), sharey='row', layout='constrained'
    )
    for column, kind in enumerate(KINDS):
        shown = [
            row
            for row in rows
            if row['kind'] == kind and (row['pose_nms'] or row['tracker'] == PERFECT)
        ]
        names = [row['tracker'] for row in shown]
        colours = [
            'tab:grey' if name in BOX_TRACKERS else
            'tab:green' if name == PERFECT else 'tab:blue'
            for name in names
        ]  # fmt: skip
        for row, metric in enumerate(('HOTA', 'IDSW')):
            values = [one[metric] for one in shown]
            low, high = zip(*(one[f'{metric}_interval'] for one in shown), strict=True)
            errors = (
                [max(0, v - x) for v, x in zip(values, low, strict=True)],
                [max(0, x - v) for v, x in zip(values, high, strict=True)],
            )
            axes[row, column].bar(names, values, yerr=errors, color=colours)
            axes[row, column].tick_params(axis='x', rotation=90)
            axes[row, column].set_xticks(
                range(len(names)), names if row else [''] * len(names)
            )
        axes[0, column].set_title(kind)
    figure.suptitle('Pose NMS first')
    axes[0, 0].set_ylabel('HOTA')
    axes[1, 0].set_ylabel('switches per video')
    figure.savefig(path, dpi=80)
    plt.close(figure)


def animate(videos: Videos, settings: dict, path: Path) -> None:
    """Draw the first video with the ids of its people."""
    (method,) = (method for method in METHODS if method.name == SHOWN)
    poses, images = [*videos.poses.values()][1][0], videos.images[0]
    tracked = track(method, settings[SHOWN], poses, images, pose_nms=False)
    write_animation(path, images, tracked, videos.metric.dataset_meta)


def main() -> None:
    args = parse_args()
    tuning = load_videos(args.work_dir, args.tuning_seed, args.videos)
    settings = tune(tuning, args.work_dir / 'settings.json')
    videos = [load_videos(args.work_dir, seed, args.videos) for seed in args.seeds]
    counts = count_all(videos, settings, args.work_dir / 'counts')
    rows = summarise_all(counts)
    dump(dict(metrics=METRICS, settings=settings, rows=rows),
         args.work_dir / 'results.json')  # fmt: skip
    table = to_markdown(rows, args.videos * len(args.seeds))
    with atomic_write(args.work_dir / 'table.md') as file:
        file.write(table)
    draw(rows, args.work_dir / 'tracking.png')
    animate(videos[0], settings, args.work_dir / 'tracking.webp')
    print(table)


if __name__ == '__main__':
    main()
