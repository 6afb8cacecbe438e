# SPDX-License-Identifier: Apache-2.0
"""Train the quickstart's CPN on differently perturbed boxes, and test it on detections.

The same net from the same start for the same number of steps: on true boxes, on boxes
that MMPose's RandomBBoxTransform jitters, on proposals of AlphaPose's constants, and on
proposals of a fitted model, as it is and without asking for the pose. The table has the
AP with the detections and with true boxes; the same numbers are in results.json and
results.png. A run that was interrupted goes on with the trainings that are missing.

Example:
    python tools/compare_proposals.py --data data/synthetic_crowd \
        --model work_dirs/pgpg/model.json --work-dir work_dirs/compare_proposals
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

from rmpe_plugin.ops import ProposalModel

CONFIG = (
    Path(__file__).parents[1]
    / 'configs/quickstart/td-hm_cpn-res18_pgpg_synthetic-128x96.py'
)
# Each way: the model of the proposals, a file in the work folder, and the shift and
# scale of RandomBBoxTransform. The rotation, no error of a detector, is the config's.
NO_JITTER = dict(shift_prob=0.0, scale_prob=0.0)
MMPOSE_JITTER = dict(
    shift_factor=0.16, shift_prob=0.3, scale_factor=(0.5, 1.5), scale_prob=1.0
)
WAYS = {
    'no jitter': (None, NO_JITTER),
    'RandomBBoxTransform': (None, MMPOSE_JITTER),
    'AlphaPose': ('alphapose', NO_JITTER),
    'PGPG without the pose': ('without_pose.json', NO_JITTER),
    'PGPG': ('model.json', NO_JITTER),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data/synthetic_crowd'))
    parser.add_argument(
        '--model', type=Path, default=Path('work_dirs/pgpg/model.json'),
        help='what tools/fit_pgpg.py fitted to the training detections',
    )  # fmt: skip
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/compare_proposals')
    )
    parser.add_argument('--ways', nargs='+', choices=tuple(WAYS), default=tuple(WAYS))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='as in train.py'
    )
    args = parser.parse_args()
    for path in (args.data, args.model):
        if not path.exists():
            parser.error(f'{path} does not exist')
    return args


def perturb(pipeline: list[dict], model: str | None, jitter: dict) -> list[dict]:
    """A training pipeline on boxes that a model proposes, or RandomBBoxTransform."""
    load, *steps = [
        dict(step, **jitter) if step['type'] == 'RandomBBoxTransform' else step
        for step in pipeline
        if step['type'] != 'PoseGuidedProposal'
    ]
    propose = dict(type='PoseGuidedProposal', model=model)
    return [load, *steps] if model is None else [load, propose, *steps]


def build_config(args: argparse.Namespace, way: str, seed: int) -> Config:
    """The config, changed as the way wants; validation is on true boxes."""
    config = Config.fromfile(CONFIG)
    annotations = args.data / 'annotations'
    truths = str(annotations / 'person_keypoints_val.json')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        config[loader].dataset.data_root = str(args.data)
    config.val_dataloader.dataset.bbox_file = None
    config.test_dataloader.dataset.bbox_file = str(
        annotations / 'person_detections_val.json'
    )
    config.val_evaluator.ann_file = config.test_evaluator.ann_file = truths

    model, jitter = WAYS[way]
    if model not in (None, 'alphapose'):
        model = str(args.work_dir / model)
    config.train_dataloader.dataset.pipeline = perturb(
        config.train_pipeline, model, jitter
    )

    config.randomness.seed = seed
    config.train_cfg.val_interval = config.train_cfg.max_epochs
    config.merge_from_dict(args.cfg_options)
    name = f'{way.replace(" ", "-")}-{seed}'
    config.work_dir = str(args.work_dir / name)
    config.experiment_name = name
    return config


def learn(config: Config) -> dict[str, float]:
    """Train, then measure on true boxes and on the detections."""
    runner = Runner.from_cfg(config)
    runner.train()
    return {
        'true boxes': float(runner.val()['coco/AP']),
        'detections': float(runner.test()['coco/AP']),
    }


def remember(work_dir: Path, about: dict) -> None:
    """Write down what the results are about, and refuse to add others to them."""
    work_dir.mkdir(parents=True, exist_ok=True)
    path, about = work_dir / 'about.json', json.dumps(about, default=str)
    if path.exists() and path.read_text() != about:
        raise SystemExit(
            f'{work_dir} holds results of other arguments ({path.name}); give another '
            '--work-dir or remove it'
        )
    path.write_text(about)


def draw(results: dict[str, dict[str, dict]], path: Path) -> None:
    """Draw the AP with the detections, a dot a seed."""
    figure, axis = plt.subplots(figsize=(7, 0.5 * len(results) + 1))
    for row, seeds in enumerate(results.values()):
        aps = [result['detections'] for result in seeds.values()]
        axis.plot(aps, np.full(len(aps), row), 'o', color='steelblue')
        axis.plot(np.mean(aps), row, '|', color='black', markersize=20)
    axis.set_yticks(range(len(results)), list(results))
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.grid(axis='x', alpha=0.3)
    axis.set_xlabel('AP with the detections: a dot a seed, a stroke their mean')
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    args = parse_args()
    record = json.loads(args.model.read_text())
    about = dict(data=args.data, model=record, cfg_options=args.cfg_options)
    remember(args.work_dir, about)
    model = ProposalModel.from_json(args.model)
    model.to_json(args.work_dir / 'model.json')
    ProposalModel(model.overall).to_json(args.work_dir / 'without_pose.json')
    path = args.work_dir / 'results.json'
    results = json.loads(path.read_text()) if path.exists() else {}
    for seed in args.seeds:
        for way in args.ways:
            seeds = results.setdefault(way, {})
            if str(seed) not in seeds:
                seeds[str(seed)] = learn(build_config(args, way, seed))
                path.write_text(json.dumps(results, indent=1))

    columns = [f'seed {seed}' for seed in args.seeds]
    table = Table(
        'training boxes', 'AP, detections', *columns, 'AP, true boxes', *columns
    )
    for way in args.ways:
        cells = []
        for boxes in ('detections', 'true boxes'):
            aps = [results[way][str(seed)][boxes] for seed in args.seeds]
            cells += [np.mean(aps), *aps]
        table.add_row(way, *(f'{ap:.4f}' for ap in cells))
    Console().print(table)
    draw({way: results[way] for way in args.ways}, path.with_suffix('.png'))
    print(path)
    print(path.with_suffix('.png'))


if __name__ == '__main__':
    main()
