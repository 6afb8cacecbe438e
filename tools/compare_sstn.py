# SPDX-License-Identifier: Apache-2.0
"""Train an SSTN on the synthetic people in several ways, and compare what was learnt.

Every way goes on from the same checkpoint for the same number of steps on the same
perturbed boxes: without an SSTN, with an SSTN that the main loss alone trains, with the
parallel SPPE, and with a loss on the window. The table has the AP with the detections
and with perturbed true boxes, and how well the STN's windows cover the true ones; the
same numbers are in results.json.

Example:
    python tools/compare_sstn.py work_dirs/quickstart/epoch_3.pth \
        --work-dir work_dirs/compare_sstn
"""

import argparse
import json
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

CONFIG = (
    Path(__file__).parents[1]
    / 'configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py'
)
# The window loss must match heatmap losses whose maps peak at 255.
WINDOW_LOSS = dict(type='WindowCornerLoss', loss_weight=5000.0)
WAYS = {
    'no SSTN': None,
    'SSTN': dict(parallel=None),
    'SSTN, parallel SPPE': dict(),
    'SSTN, window loss': dict(parallel=None, window_loss=WINDOW_LOSS),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('stage1', type=Path, help='checkpoint to go on from')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_sstn'))
    parser.add_argument('--ways', nargs='+', choices=tuple(WAYS), default=tuple(WAYS))
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='as in train.py'
    )
    args = parser.parse_args()
    if not args.stage1.is_file():
        parser.error(f'{args.stage1} does not exist')
    return args


def change_sstn(config: Config, changes: dict | None) -> None:
    """Change the model of stage 2, or with ``None`` leave the SSTN out; in place."""
    if changes is None:
        config.model.type = 'TopdownPoseEstimator'
        for key in ('stn', 'parallel'):
            config.model.pop(key)
        config.val_evaluator = [
            metric for metric in config.val_evaluator if metric.type == 'CocoMetric'
        ]
    else:
        config.model.update(changes)
    if config.model.get('parallel') is None:
        config.custom_hooks = [
            hook for hook in config.custom_hooks if hook.type != 'ParallelSPPEHook'
        ]


def build_config(args: argparse.Namespace, way: str) -> Config:
    """The config of stage 2, changed as the way wants."""
    config = Config.fromfile(CONFIG)
    config.load_from = str(args.stage1)
    config.model.stn.backbone.init_cfg.checkpoint = str(args.stage1)
    config.merge_from_dict(args.cfg_options)
    config.work_dir = str(args.work_dir / way.replace(', ', '-').replace(' ', '-'))
    config.experiment_name = way
    change_sstn(config, WAYS[way])
    return config


def learn(config: Config) -> dict[str, float]:
    """Train, then measure on perturbed boxes and on the detector's."""
    runner = Runner.from_cfg(config)
    runner.train()
    perturbed = runner.val()
    detected = runner.test()
    return {
        'detections': float(detected['coco/AP']),
        'perturbed': float(perturbed['coco/AP']),
        **{k: v for k, v in perturbed.items() if k.startswith('window/')},
    }


def main() -> None:
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    results = {}
    for way in args.ways:
        results[way] = learn(build_config(args, way))
        (args.work_dir / 'results.json').write_text(json.dumps(results, indent=1))

    table = Table(
        'stage 2',
        'AP, detections',
        'AP, perturbed boxes',
        'IoU of the windows',
        'of the perturbed crops',
        'gain',
        title=f'from {args.stage1}',
    )
    for way in args.ways:
        columns = ('detections', 'perturbed', 'window/iou', 'window/iou_crop',
                   'window/gain')  # fmt: skip
        found = [results[way].get(column) for column in columns]
        table.add_row(way, *('' if x is None else f'{x:.3f}' for x in found))
    Console().print(table)


if __name__ == '__main__':
    main()
