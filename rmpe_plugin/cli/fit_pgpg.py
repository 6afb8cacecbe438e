# SPDX-License-Identifier: Apache-2.0
r"""Fit the pose-guided proposals generator of RMPE to a detector.

Run the detector on the training images first. Each annotated person is matched to the
detection with the highest IoU, one to one. The offsets of the four edges are modelled
for each atomic pose, and the model is compared with others on held-out images. The
script also draws the atomic poses, the offsets, and with --images proposals beside the
detections.

Example:
    rmpe fit-pgpg \
        --ann data/synthetic_crowd/annotations/person_keypoints_train.json \
        --det data/synthetic_crowd/annotations/person_detections_train.json \
        --images data/synthetic_crowd/train --out work_dirs/pgpg/model.json
"""

import argparse
from collections import Counter
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rmpe_plugin.apis import read_image
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._matching import (
    add_matching_arguments,
    build_counts_table,
    match_files,
)
from rmpe_plugin.fitting.matching import MatchedPeople
from rmpe_plugin.fitting.proposal_comparison import (
    MAX_COMPARED,
    OffsetScores,
    compare_offset_models,
)
from rmpe_plugin.fitting.proposal_fitting import find_torso, hold_out_images
from rmpe_plugin.ops import ProposalModel
from rmpe_plugin.structures import read_metainfo
from rmpe_plugin.utils.arguments import at_least, existing_folder, share
from rmpe_plugin.utils.tables import table_console

EDGES = ('left', 'top', 'right', 'bottom')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_matching_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, help='JSON file to write')
    parser.add_argument(
        '--images', type=existing_folder, help='image folder, to draw proposals'
    )
    parser.add_argument(
        '--atoms', type=at_least(0), default=16,
        help='maximum number of atomic poses (default: 16)',
    )  # fmt: skip
    parser.add_argument(
        '--components', type=at_least(1), default=8,
        help='maximum number of Gaussians per mixture (default: 8)',
    )  # fmt: skip
    parser.add_argument(
        '--min-people', type=at_least(5), default=400,
        help='atomic poses with fewer people use the mixture of all people '
        '(default: 400)',
    )  # fmt: skip
    parser.add_argument(
        '--holdout', type=share, default=0.2,
        help='share of the images that are held out (default: 0.2)',
    )  # fmt: skip
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='random seed (default: 0)'
    )
    return parser.parse_args()


def match(
    args: argparse.Namespace, num_keypoints: int, console: Console
) -> tuple[MatchedPeople, list[dict]]:
    """Match the files' people and detections; also the image records."""
    pairs, counts, images = match_files(args, num_keypoints)
    console.print(build_counts_table(counts))
    people = MatchedPeople.from_pairs(pairs, images)
    if len(people) < args.min_people:
        console.print(
            f'{len(people)} people are too few: the model ignores the pose, and the '
            'comparison below is not meaningful',
            style='bold red',
        )
    return people, images


def fit(
    args: argparse.Namespace, people: MatchedPeople, torso: tuple, console: Console
) -> ProposalModel:
    """Fit the model and write it."""
    model = ProposalModel.fit(
        *people.model_inputs,
        people.detections,
        args.atoms,
        args.components,
        args.min_people,
        torso,
        args.seed,
        partial(track, description='fitting'),
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    model.to_json(args.out)
    gaussians = [len(mixture.weights) for mixture in model.mixtures if mixture]
    console.print(
        f'fitted to {len(people)} people: {len(model.people)} atomic poses with '
        f'{sum(gaussians)} Gaussians, and {len(model.overall.weights)} Gaussians for '
        'all people'
    )
    return model


def build_scores_table(scores: dict[str, OffsetScores], num_people: int) -> Table:
    """Build the table of the comparison."""
    table = Table(
        'model',
        'log-likelihood',
        'energy distance',
        'within atomic poses',
        title=f'{min(num_people, MAX_COMPARED)} of {num_people} held-out people',
    )
    for name, values in scores.items():
        cells = (f'{value:.5f}' if np.isfinite(value) else '' for value in values)
        table.add_row(name, *cells)
    return table


def draw_atoms(model: ProposalModel, links: list[tuple[int, int]], path: Path) -> None:
    """Draw the atomic poses as skeletons."""
    columns = min(len(model.atoms), 8)
    rows = -(-len(model.atoms) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.8 * columns, 2.8 * rows), squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    for axis in axes.flat:
        axis.set_axis_off()
    for i, (axis, pose) in enumerate(zip(axes.flat, model.atoms, strict=False)):
        for a, b in links:
            axis.plot(*pose[[a, b]].T, color='steelblue', linewidth=2)
        axis.plot(*pose.T, 'o', color='black', markersize=3)
        axis.set_aspect('equal')
        axis.set_title(f'{i}: {model.people[i]}', fontsize=9)
    axes[0, 0].invert_yaxis()
    figure.suptitle('atomic poses: index and number of people')
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def draw_offsets(
    model: ProposalModel, people: MatchedPeople, seed: int, path: Path
) -> None:
    """Draw detected and sampled offsets of each edge and the largest atomic poses."""
    atoms = model.assign(people.keypoints, people.keypoints_visible)
    largest = [atom for atom, _ in Counter(atoms.tolist()).most_common(5)]
    rows = {'all people': np.full(len(atoms), True)}
    rows |= {atom_title(atom): atoms == atom for atom in largest}
    detected = people.offsets
    sampled = people.sample_offsets(model, np.random.default_rng(seed))
    figure, axes = plt.subplots(
        len(rows), 4, figsize=(12, 1.7 * len(rows)), sharex=True, squeeze=False
    )
    bins = np.linspace(-0.5, 0.5, 51)
    for line, (name, chosen) in zip(axes, rows.items(), strict=True):
        for edge, axis in enumerate(line):
            axis.hist(
                detected[chosen, edge], bins, color='lightsteelblue', label='detections'
            )
            axis.hist(
                sampled[chosen, edge], bins, histtype='step', color='crimson',
                label='sampled',
            )  # fmt: skip
            axis.set_yticks([])
        line[0].set_ylabel(f'{name}\n{chosen.sum()} people', fontsize=8)
    for axis, edge in zip(axes[0], EDGES, strict=True):
        axis.set_title(edge)
    axes[0, 0].legend(fontsize=7)
    figure.supxlabel("offset relative to the ground-truth box's side, held-out people")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def draw_proposals(
    model: ProposalModel, people: MatchedPeople, files: dict, seed: int, path: Path
) -> None:
    """Draw people with their ground-truth box, detection and proposals."""
    rng = np.random.default_rng(seed)
    shown = people[rng.permutation(len(people))[:8]]
    boxes = model.sample(*shown.model_inputs, 10, rng, shown.image_sizes)
    atoms = model.assign(shown.keypoints, shown.keypoints_visible)
    figure, axes = plt.subplots(2, 4, figsize=(14, 9), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, axis in enumerate(axes.flat[: len(shown)]):
        frame = read_image(files[shown.image_ids[i]], shown.image_ids[i])
        if frame.image is None:
            raise ValueError(f'{frame.name} {frame.error}')
        axis.imshow(frame.image[..., ::-1])
        for box in boxes[i]:
            add_box(axis, box, 'orange', 0.8)
        add_box(axis, shown.detections[i], 'deepskyblue', 2)
        add_box(axis, shown.gt_bboxes[i], 'lime', 2)
        around = np.concatenate((boxes[i], shown.detections[i : i + 1]))
        low, high = around[:, :2].min(axis=0) - 10, around[:, 2:].max(axis=0) + 10
        axis.set_xlim(low[0], high[0])
        axis.set_ylim(high[1], low[1])
        title = f'image {shown.image_ids[i]}, {atom_title(atoms[i])}'
        axis.set_title(title, fontsize=9)
    figure.suptitle(
        'ground-truth box (green), detection (blue), ten proposals (orange)'
    )
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def atom_title(atom: int) -> str:
    """Title of an atomic pose."""
    return 'not aligned' if atom < 0 else f'atomic pose {atom}'


def add_box(axis, box: np.ndarray, color: str, width: float) -> None:
    """Draw an xyxy box."""
    axis.add_patch(
        plt.Rectangle(
            box[:2], *(box[2:] - box[:2]), fill=False, color=color, linewidth=width
        )
    )


def draw(
    args: argparse.Namespace,
    model: ProposalModel,
    people: MatchedPeople,
    images: list[dict],
    links: list[tuple[int, int]],
) -> list[Path]:
    """Draw the model beside held-out people; the files that were written."""
    paths = {
        kind: args.out.with_name(f'{args.out.stem}_{kind}.png')
        for kind in ('atoms', 'offsets', 'proposals')
    }
    if model.atoms is None:
        del paths['atoms']
    else:
        draw_atoms(model, links, paths['atoms'])
    draw_offsets(model, people, args.seed, paths['offsets'])
    if args.images is None:
        del paths['proposals']
    else:
        files = {i['id']: args.images / i['file_name'] for i in images}
        draw_proposals(model, people, files, args.seed, paths['proposals'])
    return list(paths.values())


@exit_status
def main() -> None:
    args = parse_args()
    console = table_console()
    meta = read_metainfo(args.ann, args.metainfo)
    torso = find_torso(meta['keypoint_name2id'])
    people, images = match(args, meta['num_keypoints'], console)
    fitted, held_out = hold_out_images(people, args.holdout, args.seed)
    model = fit(args, fitted, torso, console)
    scores = compare_offset_models(model, fitted, held_out, args.iou_thr, args.seed)
    console.print(build_scores_table(scores, len(held_out)))
    for path in (
        args.out,
        *draw(args, model, held_out, images, meta['skeleton_links']),
    ):
        print(path)
