# SPDX-License-Identifier: Apache-2.0
"""Train a small CPN and a small person detector on synthetic people, test and draw.

Writes to data/synthetic_people, work_dirs/quickstart and work_dirs/detector. A run that
was interrupted continues where it stopped.

Example:
    bash tools/quickstart.sh
"""

import json
import os
import re
import sys
import time
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from experiments.stages import Stage
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.utils.files import journal_path

from .stage_program import forget_stages, main, run_program

PHOTOGRAPHS = Path('tests/data/coco_cc')
PHOTO_DIR = Path('work_dirs/photo')
DATA = Path('data/synthetic_people')
VAL_ANN = DATA / 'annotations' / 'person_keypoints_val.json'
CONFIGS = Path('configs/quickstart')
POSE = CONFIGS / 'td-hm_cpn-res18_synthetic-128x96.py'
POSE_NMS = CONFIGS / 'td-hm_cpn-res18_pose-nms-presets_synthetic-128x96.py'
HARD_KEYPOINTS = CONFIGS / 'td-hm_cpn-res18_hard-keypoints_synthetic-128x96.py'
SSTN = CONFIGS / 'td-hm_cpn-res18_sstn_synthetic-128x96.py'
DETECTOR = CONFIGS / 'rtmdet-small_synthetic-160x128.py'
POSE_DIR = Path('work_dirs/quickstart')
DETECTOR_DIR = Path('work_dirs/detector')
LOGS = POSE_DIR / 'logs'
METRICS = POSE_DIR / 'detections.json'
BOXES = DETECTOR_DIR / 'val_boxes.json'
DRAWINGS = POSE_DIR / 'images'

IMAGES = dict(train=3000, val=200)
# Boxes that score less do not change AP.
SCORE_THR = 0.2
STEP = re.compile(r'Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]')


# Stages


def rmpe(command: str, *args: object) -> list[str]:
    """Return the words of a command of ``rmpe``."""
    return [sys.executable, 'rmpe.py', *command.split(), *map(str, args)]


@cache
def last_epoch(config: Path) -> int:
    """Return the number of epochs of a training config."""
    return Config.fromfile(config).train_cfg.max_epochs


def drawing(start: float) -> Stage:
    """Return the stage that draws the images."""
    options = [f'--{split}={number}' for split, number in IMAGES.items()]
    command = rmpe('synthesize images', DATA, '--difficulty=easy', *options)

    def progress() -> float:
        folders = [DATA / split for split in IMAGES if (DATA / split).is_dir()]
        entries = [entry for folder in folders for entry in os.scandir(folder)]
        drawn = sum(entry.stat().st_mtime >= start for entry in entries)
        return drawn / sum(IMAGES.values())

    return Stage('draw', 'drawing synthetic people', command, progress=progress)


def photographs() -> Stage:
    """Return the stage that predicts poses in photographs with the trained model."""
    command = rmpe(
        'predict', '--model', 'photo', PHOTOGRAPHS,
        '--boxes', PHOTOGRAPHS / 'person_keypoints_cc.json', '--out', PHOTO_DIR,
    )  # fmt: skip
    return Stage('photo', f'predicting poses in photographs ({PHOTO_DIR})', command)


def epochs_done(log: Path, epochs: int) -> float:
    """Return the fraction of a training that is done, according to its log."""
    steps = STEP.findall(log.read_text(errors='replace'))
    if not steps:
        return 0.0
    epoch, step, total = map(int, steps[-1])
    return (epoch - 1 + step / total) / epochs


def training(name: str, title: str, config: Path, work_dir: Path, seed: int) -> Stage:
    """Return the stage that trains a model on half of the CPU's cores."""
    log, epochs = LOGS / f'{name}.log', last_epoch(config)
    options = ('--cfg-options', f'randomness.seed={seed}')
    return Stage(
        name,
        title,
        rmpe('train', config, '--work-dir', work_dir, *options),
        resume=('--resume',),
        environment=dict(OMP_NUM_THREADS=str(max(1, (os.cpu_count() or 1) // 2))),
        progress=partial(epochs_done, log, epochs),
    )


def make_stages(seed: int) -> list[list[Stage]]:
    """Return the program; the stages of an inner list run at the same time."""
    pose = POSE_DIR / f'epoch_{last_epoch(POSE)}.pth'
    detector = DETECTOR_DIR / f'epoch_{last_epoch(DETECTOR)}.pth'
    images = ('--ann', VAL_ANN, '--images', DATA / 'val')
    detect = rmpe(
        'detect', DETECTOR, detector, *images,
        '--out', BOXES, '--score-thr', SCORE_THR,
    )  # fmt: skip
    test = rmpe('test', POSE_NMS, pose, '--work-dir', POSE_DIR, '--out', METRICS)
    draw = rmpe(
        'predict', POSE, pose, DATA / 'val' / '00000*.jpg',
        '--boxes', BOXES, '--out', DRAWINGS,
    )  # fmt: skip
    # The trained model needs timm, which a user's own environment may lack.
    first = [[photographs()]] if find_spec('timm') else []
    return [
        *first,
        [drawing(time.time())],
        [
            training('train', 'training a CPN', POSE, POSE_DIR, seed),
            training(
                'train_detector', 'training a detector', DETECTOR, DETECTOR_DIR, seed
            ),
        ],
        [Stage('detect', 'detecting people', detect)],
        [Stage('test', 'testing on detections', test)],
        [Stage('demo', 'drawing poses', draw)],
    ]


# Results


def validation_metrics(work_dir: Path) -> dict[str, float]:
    """Return the last metrics that a training's validation wrote."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for file in files for line in file.open()]
    return [line for line in lines if any(key.endswith('AP') for key in line)][-1]


def count(path: Path) -> int:
    """Return the number of records of COCO results."""
    return len(json.loads(path.read_text()))


def result_table() -> Table:
    """Tabulate the AP on ground-truth boxes and on detections."""
    metrics = json.loads(METRICS.read_text())
    annotations = json.loads(VAL_ANN.read_text())['annotations']
    table = Table(
        'boxes', 'pose NMS', title='COCO keypoint AP of the validation images'
    )
    for name in ('poses', 'AP', 'AP50', 'AP75'):
        table.add_column(name, justify='right')

    def add_row(boxes: str, nms: str, poses: int, metrics: dict, prefix: str) -> None:
        values = (metrics[f'{prefix}/{name}'] for name in ('AP', 'AP .5', 'AP .75'))
        table.add_row(boxes, nms, str(poses), *(f'{value:.3f}' for value in values))

    gt = validation_metrics(POSE_DIR)
    add_row('ground truth', 'none', len(annotations), gt, 'coco')
    for evaluator in Config.fromfile(POSE_NMS).test_evaluator:
        name = evaluator.prefix
        poses = count(Path(f'{evaluator.outfile_prefix}.keypoints.json'))
        label = f'{name} (default of rmpe predict)' if name == DEFAULT_PRESET else name
        add_row('detector', label, poses, metrics, name)
    return table


def next_commands() -> list[str]:
    """Return what to run next with the trained models."""
    python = os.path.relpath(sys.executable)
    if python.startswith('..'):
        python = sys.executable
    program = f'{python} rmpe.py'
    pose = f'{POSE_DIR}/epoch_{last_epoch(POSE)}.pth'
    detector = f'{DETECTOR} {DETECTOR_DIR}/epoch_{last_epoch(DETECTOR)}.pth'
    return [
        f'{program} predict {POSE} {pose} {DATA}/val --det {detector} '
        '--out work_dirs/demo',
        f'{program} test {HARD_KEYPOINTS} {pose}',
        f'{program} train {SSTN} --work-dir work_dirs/sstn',
    ]


def report(console: Console, seconds: float) -> None:
    """Print the results, where the images are, and what to run next."""
    box_ap = validation_metrics(DETECTOR_DIR)['coco/bbox_mAP']
    boxes = count(BOXES)
    console.print(result_table())
    photographs = (
        f'Poses in photographs: {PHOTO_DIR}/*.jpg'
        if find_spec('timm')
        else "Poses in photographs need timm: pip install 'rmpe_plugin[light]'"
    )
    lines = [
        photographs,
        f'Detector: box AP {box_ap:.3f}, {boxes / IMAGES["val"]:.1f} boxes per image '
        f'with a score of at least {SCORE_THR}.',
        f'Images with poses: {DRAWINGS}/*.jpg',
        f'Logs: {LOGS}',
        'Next:',
        *(f'  {command}' for command in next_commands()),
        f'Finished in {seconds / 60:.1f} minutes.',
    ]
    console.print('\n'.join(lines), soft_wrap=True, highlight=False, markup=False)


def run(seed: int, restart: bool, console: Console) -> int:
    """Run the stages that are not finished, and print the results.

    Args:
        seed (int): Random seed of the trainings.
        restart (bool): Whether to run finished stages again.
        console (Console): Where progress and results are printed.

    Returns:
        int: Exit status; 130 after an interrupt.
    """
    if restart:
        forget_stages(LOGS)
        journal_path(BOXES).unlink(missing_ok=True)
    settings = dict(seed=seed, images=IMAGES, score_thr=SCORE_THR)
    return run_program(make_stages(seed), LOGS, settings, console, report)


if __name__ == '__main__':
    sys.exit(main(__doc__, run))
