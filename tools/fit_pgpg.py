# SPDX-License-Identifier: Apache-2.0
"""Learn how a detector errs, for the pose-guided proposals generator of RMPE.

Run your detector on the training images first. Each person is matched with the
detection of the best IoU, one to one; the offsets of the four edges are modelled by the
pose, and the model is compared with others on images that were held out. Beside the
model there are pictures: the atomic poses, the offsets, and with --images proposals
beside the detections.

Example:
    python tools/fit_pgpg.py \
        --ann data/synthetic_crowd/annotations/person_keypoints_train.json \
        --det data/synthetic_crowd/annotations/person_detections_train.json \
        --images data/synthetic_crowd/train --out work_dirs/pgpg/model.json
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import cv2
import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures.bbox import bbox_xywh2xyxy
from pycocotools.mask import iou
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.spatial.distance import cdist

from rmpe_plugin.ops import GaussianMixture, ProposalModel, box_offsets
from rmpe_plugin.utils.coco_files import read_coco, require_keypoints, require_keys

EDGES = ('left', 'top', 'right', 'bottom')
# More people than this do not change what an energy distance says.
MOST_COMPARED = 4000


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--ann', type=Path, required=True, help='COCO annotations')
    parser.add_argument('--det', type=Path, required=True, help='COCO results (boxes)')
    parser.add_argument('--out', type=Path, required=True, help='JSON to write')
    parser.add_argument('--images', type=Path, help='folder, to draw proposals')
    parser.add_argument('--iou-thr', type=float, default=0.5, help='default: 0.5')
    parser.add_argument(
        '--score-thr', type=float, default=0.05,
        help='detections that score less are left out (default: 0.05)',
    )  # fmt: skip
    parser.add_argument('--atoms', type=int, default=16, help='default: 16')
    parser.add_argument(
        '--components', type=int, default=8, help='most Gaussians each (default: 8)'
    )
    parser.add_argument(
        '--min-people', type=int, default=400,
        help='atomic poses with fewer use the mixture of everybody (default: 400)',
    )  # fmt: skip
    parser.add_argument(
        '--holdout', type=float, default=0.2,
        help='share of the images to compare on (default: 0.2)',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--metainfo',
        default='configs/_base_/datasets/coco.py',
        help="the data set's keypoints, as MMPose's data sets name them",
    )
    args = parser.parse_args()
    for path in filter(None, (args.ann, args.det, args.images)):
        if not path.exists():
            parser.error(f'{path} does not exist')
    for name in ('iou_thr', 'holdout'):
        if not 0 < getattr(args, name) < 1:
            option = name.replace('_', '-')
            parser.error(
                f'--{option} must be between 0 and 1, got {getattr(args, name)}'
            )
    for name, least in dict(atoms=0, components=1, min_people=5).items():
        if getattr(args, name) < least:
            option = name.replace('_', '-')
            parser.error(
                f'--{option} must be at least {least}, got {getattr(args, name)}'
            )
    return args


@dataclass
class People:
    """People and their detections, an array each, first dimension N.

    Attributes:
        image (np.ndarray): Image's id.
        image_size (np.ndarray): Width and height (N, 2).
        keypoints (np.ndarray): (N, K, 2).
        visible (np.ndarray): COCO's v (N, K).
        bboxes (np.ndarray): True boxes (N, 4), xyxy.
        detections (np.ndarray): Matched boxes (N, 4), xyxy.
    """

    image: np.ndarray
    image_size: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    bboxes: np.ndarray
    detections: np.ndarray

    def __getitem__(self, which: np.ndarray) -> 'People':
        return People(*(getattr(self, field.name)[which] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def of(cls, pairs: list[tuple[dict, dict]], images: dict[int, dict]) -> 'People':
        """Arrays of annotations and their detections, images by id."""
        persons, matched = zip(*pairs, strict=True)
        poses = np.reshape([p['keypoints'] for p in persons], (len(pairs), -1, 3))
        frames = [images[p['image_id']] for p in persons]
        return cls(
            image=np.array([frame['id'] for frame in frames]),
            image_size=np.array(
                [(frame['width'], frame['height']) for frame in frames]
            ),
            keypoints=poses[..., :2].astype(float),
            visible=poses[..., 2],
            bboxes=bbox_xywh2xyxy(np.array([p['bbox'] for p in persons], float)),
            detections=bbox_xywh2xyxy(np.array([d['bbox'] for d in matched], float)),
        )

    @property
    def given(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a model knows of them: keypoints, visibility and true boxes."""
        return self.keypoints, self.visible, self.bboxes

    @property
    def offsets(self) -> np.ndarray:
        """What is modelled (N, 4)."""
        return box_offsets(self.bboxes, self.detections)

    def sampled(self, model: ProposalModel, rng: np.random.Generator) -> np.ndarray:
        """The offsets of one proposal each, clipped as detections are (N, 4)."""
        boxes = model.sample(*self.given, 1, rng, self.image_size)
        return box_offsets(self.bboxes, boxes[:, 0])


def read(ann: Path, det: Path, num_keypoints: int) -> tuple[dict, list[dict]]:
    """Read truths and detections, and refuse what is broken."""
    try:
        truth, detections = read_coco(
            ann, det, {'image_id', 'category_id', 'bbox', 'score'}
        )
        for what, keys in (
            ('image', {'file_name', 'width', 'height'}),
            ('annotation', {'bbox'}),
        ):
            require_keys(ann, what, truth[f'{what}s'], keys)
        require_keypoints(ann, 'annotation', truth['annotations'], num_keypoints)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    if not any(map(has_keypoints, truth['annotations'])):
        raise SystemExit(f'{ann}: nobody has keypoints')
    known, found = ({r[key] for r in records} for records, key in (
        (truth['images'], 'id'), (detections, 'image_id')))  # fmt: skip
    if not known & found:
        raise SystemExit(
            f'no image of {det} is in {ann}: ids such as {sorted(found)[:3]} and '
            f'{sorted(known)[:3]}'
        )
    return truth, detections


def find_torso(names: dict[str, int], metainfo: str) -> tuple[tuple[int, int], ...]:
    """Indices of the shoulders and of the hips."""
    parts = [[f'{side}_{part}' for side in ('left', 'right')]
             for part in ('shoulder', 'hip')]  # fmt: skip
    lacking = {name for part in parts for name in part} - set(names)
    if lacking:
        raise SystemExit(f'{metainfo} has no keypoint {", ".join(sorted(lacking))}')
    return tuple(tuple(names[name] for name in part) for part in parts)


def pair_by_iou(overlaps: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pair rows with columns one to one, the best overlap first."""
    overlaps, pairs = overlaps.copy(), []
    while overlaps.size and overlaps.max() >= threshold:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        pairs.append((int(row), int(column)))
        overlaps[row], overlaps[:, column] = -1, -1
    return pairs


def has_area(record: dict) -> bool:
    """Whether a record's xywh box is finite and not empty."""
    return bool(np.isfinite(record['bbox']).all() and min(record['bbox'][2:]) > 0)


def has_keypoints(person: dict) -> bool:
    """Whether any keypoint of an annotation is labelled."""
    return any(person.get('keypoints', ())[2::3])


def keep_by_image(
    records: list[dict], reasons: dict[str, Callable[[dict], bool]], fate: Counter
) -> dict[int, list[dict]]:
    """Group records by image, and count those that are left out by the reason."""
    grouped = defaultdict(list)
    for record in records:
        reason = next((why for why, holds in reasons.items() if holds(record)), None)
        if reason:
            fate[reason] += 1
        else:
            grouped[record['image_id']].append(record)
    return grouped


def match(
    truth: dict, detections: list[dict], iou_thr: float, score_thr: float
) -> tuple[People, Table]:
    """Give each person a detection; and a table of what became of all."""
    images = {image['id']: image for image in truth['images']}
    fate = {'people': Counter(), 'detections': Counter()}
    people = keep_by_image(
        truth['annotations'],
        {
            'crowd regions': lambda person: person.get('iscrowd'),
            'image not listed': lambda person: person['image_id'] not in images,
            'box without area': lambda person: not has_area(person),
        },
        fate['people'],
    )
    boxes = keep_by_image(
        detections,
        {
            'not of category 1, person': lambda box: box['category_id'] != 1,
            'image not annotated': lambda box: box['image_id'] not in images,
            f'score below {score_thr}': lambda box: box['score'] < score_thr,
            'box without area': lambda box: not has_area(box),
        },
        fate['detections'],
    )

    pairs = []
    for image in track(images, 'matching'):
        here, there = people[image], boxes[image]
        found = []
        if here and there:
            # People without keypoints take their detections too.
            xywh = [np.array([r['bbox'] for r in rs], float) for rs in (here, there)]
            found = pair_by_iou(iou(*xywh, [0] * len(there)), iou_thr)
        kept = [(here[i], there[j]) for i, j in found if has_keypoints(here[i])]
        pairs += kept
        fate['people'][f'no detection of IoU {iou_thr}'] += len(here) - len(found)
        fate['people']['without keypoints'] += len(found) - len(kept)
        fate['detections'][f'no person of IoU {iou_thr}'] += len(there) - len(found)
        fate['detections']['of people without keypoints'] += len(found) - len(kept)
        for kind in fate.values():
            kind['matched'] += len(kept)

    table = Table('of', 'what became of them', 'number', 'share')
    for kind, counts in fate.items():
        for reason, number in counts.most_common():
            if number:
                share = number / counts.total()
                table.add_row(kind, reason, str(number), f'{share:.1%}')
    if not pairs:
        Console().print(table)
        raise SystemExit(
            f'nobody with keypoints has a detection with an IoU of {iou_thr}: nothing '
            'to fit'
        )
    return People.of(pairs, images), table


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance of two samples (N, D) and (M, D); about 0 if they are alike."""
    within = [cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * cdist(a, b).mean() - sum(within))


def uniform_jitter(n: int, iou_thr: float, rng: np.random.Generator) -> np.ndarray:
    """Offsets of uniform jitter among those that keep an IoU, the paper's baseline."""
    offsets = rng.uniform(-0.5, 0.5, (100 * n, 4))
    unit = np.array([0.0, 0.0, 1.0, 1.0])
    low, high = offsets[:, :2], 1 + offsets[:, 2:]
    good = ((high - low) > 0).all(axis=1)
    xywh = np.concatenate((low, high - low), axis=1)[good]
    keep = iou(xywh, unit[None], [0])[:, 0] > iou_thr
    return offsets[good][keep][:n]


def compare(
    model: ProposalModel, fitted: People, unseen: People, iou_thr: float, seed: int
) -> dict[str, list[float]]:
    """How well models tell the detections of people that none has seen.

    Returns:
        dict[str, list[float]]: By model its log-likelihood, the energy distance of its
        samples from the real offsets, and that distance within atomic poses, the mean
        over people.
    """
    rng = np.random.default_rng(seed)
    unseen = unseen[rng.permutation(len(unseen))[:MOST_COMPARED]]
    one = ProposalModel(GaussianMixture.fit(fitted.offsets, max_components=1))
    found = {}
    for name, other in {
        'PGPG': model,
        'without the pose': ProposalModel(model.overall),
        'one Gaussian': one,
        'AlphaPose': ProposalModel.alphapose(),
    }.items():
        log_prob = other.log_prob(*unseen.given, unseen.detections[:, None])
        found[name] = log_prob.mean(), unseen.sampled(other, rng)
    found['uniform'] = np.nan, uniform_jitter(len(unseen), iou_thr, rng)

    real = unseen.offsets
    atoms = model.assign(unseen.keypoints, unseen.visible)
    groups = [atoms == atom for atom, n in Counter(atoms.tolist()).items() if n > 1]
    rows = {}
    for name, (log_prob, offsets) in found.items():
        within = np.average(
            [energy_distance(real[group], offsets[group]) for group in groups],
            weights=[group.sum() for group in groups],
        )
        rows[name] = [log_prob, energy_distance(real, offsets), within]
    return rows


def tabulate(rows: dict[str, list[float]], people: int) -> Table:
    """What :func:`compare` found on so many people, as a table."""
    table = Table(
        '',
        'log-likelihood',
        'energy distance',
        'within atomic poses',
        title=f'on people held out, at most {MOST_COMPARED} of {people}',
    )
    for name, values in rows.items():
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
    figure.suptitle('atomic poses: number and people')
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def draw_offsets(model: ProposalModel, people: People, seed: int, path: Path) -> None:
    """Draw real and sampled offsets, an edge a column, the largest atoms as rows."""
    atoms = model.assign(people.keypoints, people.visible)
    largest = [atom for atom, _ in Counter(atoms.tolist()).most_common(5)]
    rows = {'everybody': np.full(len(atoms), True)}
    rows |= {atom_title(atom): atoms == atom for atom in largest}
    real, sampled = people.offsets, people.sampled(model, np.random.default_rng(seed))
    figure, axes = plt.subplots(
        len(rows), 4, figsize=(12, 1.7 * len(rows)), sharex=True, squeeze=False
    )
    bins = np.linspace(-0.5, 0.5, 51)
    for line, (name, chosen) in zip(axes, rows.items(), strict=True):
        for edge, axis in enumerate(line):
            axis.hist(
                real[chosen, edge], bins, color='lightsteelblue', label='detections'
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
    figure.supxlabel("offset in shares of the true box's side, of people held out")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def draw_proposals(
    model: ProposalModel, people: People, files: dict, seed: int, path: Path
) -> None:
    """Draw people with their true box, detection and proposals."""
    rng = np.random.default_rng(seed)
    shown = people[rng.permutation(len(people))[:8]]
    boxes = model.sample(*shown.given, 10, rng, shown.image_size)
    atoms = model.assign(shown.keypoints, shown.visible)
    figure, axes = plt.subplots(2, 4, figsize=(14, 9), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, axis in enumerate(axes.flat[: len(shown)]):
        image = cv2.imread(str(files[shown.image[i]]))
        if image is None:
            raise SystemExit(f'{files[shown.image[i]]} cannot be read')
        axis.imshow(image[..., ::-1])
        for box in boxes[i]:
            add_box(axis, box, 'orange', 0.8)
        add_box(axis, shown.detections[i], 'deepskyblue', 2)
        add_box(axis, shown.bboxes[i], 'lime', 2)
        around = np.concatenate((boxes[i], shown.detections[i : i + 1]))
        low, high = around[:, :2].min(axis=0) - 10, around[:, 2:].max(axis=0) + 10
        axis.set_xlim(low[0], high[0])
        axis.set_ylim(high[1], low[1])
        title = f'image {shown.image[i]}, {atom_title(atoms[i])}'
        axis.set_title(title, fontsize=9)
    figure.suptitle('true box (green), detection (blue), ten proposals (orange)')
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def atom_title(atom: int) -> str:
    """What a picture calls an atomic pose."""
    return 'not aligned' if atom < 0 else f'atomic pose {atom}'


def add_box(axis, box: np.ndarray, color: str, width: float) -> None:
    """Draw an xyxy box."""
    axis.add_patch(
        plt.Rectangle(
            box[:2], *(box[2:] - box[:2]), fill=False, color=color, linewidth=width
        )
    )


def main() -> None:
    args = parse_args()
    console = Console()
    meta = parse_pose_metainfo(dict(from_file=args.metainfo))
    torso = find_torso(meta['keypoint_name2id'], args.metainfo)
    truth, detections = read(args.ann, args.det, meta['num_keypoints'])
    people, table = match(truth, detections, args.iou_thr, args.score_thr)
    console.print(table)
    if len(people) < args.min_people:
        console.print(
            f'[bold red]{len(people)} people are too few to mean anything:[/] the pose '
            'is not looked at, and the comparison below is chance'
        )

    images = np.random.default_rng(args.seed).permutation(np.unique(people.image))
    held_out = np.isin(people.image, images[: round(args.holdout * len(images))])
    fitted, unseen = people[~held_out], people[held_out]
    if len(fitted) < 5 or len(unseen) < 2:
        raise SystemExit(
            f'{len(fitted)} people to fit to and {len(unseen)} held out are too few'
        )
    model = ProposalModel.fit(
        *fitted.given,
        fitted.detections,
        args.atoms,
        args.components,
        args.min_people,
        torso,
        args.seed,
        partial(track, description='fitting'),
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    model.to_json(args.out)
    gaussians = [len(m.weights) for m in model.mixtures if m]
    console.print(
        f'fitted to {len(fitted)} people: {len(model.people)} atomic poses, '
        f'{sum(gaussians)} Gaussians, and {len(model.overall.weights)} for everybody'
    )
    rows = compare(model, fitted, unseen, args.iou_thr, args.seed)
    console.print(tabulate(rows, len(unseen)))

    written = [args.out]
    if model.atoms is not None:
        written.append(args.out.with_name(f'{args.out.stem}_atoms.png'))
        draw_atoms(model, meta['skeleton_links'], written[-1])
    written.append(args.out.with_name(f'{args.out.stem}_offsets.png'))
    draw_offsets(model, unseen, args.seed, written[-1])
    if args.images:
        files = {i['id']: args.images / i['file_name'] for i in truth['images']}
        written.append(args.out.with_name(f'{args.out.stem}_proposals.png'))
        draw_proposals(model, unseen, files, args.seed, written[-1])
    for path in written:
        print(path)


if __name__ == '__main__':
    main()
