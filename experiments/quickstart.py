# SPDX-License-Identifier: Apache-2.0
"""Train a small CPN and a small person detector on synthetic people, test and draw.

Writes to data/synthetic_people, work_dirs/quickstart and work_dirs/detector. A run that
was interrupted continues where it stopped.

Example:
    bash tools/quickstart.sh
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.utils.files import journal_path

from .steps import Step, forget_steps, main, rmpe, run_program

PHOTOGRAPHS = Path('tests/data/coco_cc')
PHOTO_DIR = Path('work_dirs/photo')
DATA = Path('data/synthetic_people')
VAL_ANN = DATA / 'annotations' / 'person_keypoints_val.json'
CONFIGS = Path('configs/quickstart')
POSE = CONFIGS / 'td-hm_cpn-res18_synthetic-128x96.py'
POSE_NMS = CONFIGS / 'td-hm_cpn-res18_pose-nms-presets_synthetic-128x96.py'
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
# The included models need it, and a user's own environment may lack it.
HAS_ONNXRUNTIME = find_spec('onnxruntime') is not None


def last_checkpoint(config: Path, work_dir: Path) -> Path:
    """Return the checkpoint of the last epoch of a training."""
    return work_dir / f'epoch_{Config.fromfile(config).train_cfg.max_epochs}.pth'


def training(name: str, title: str, config: Path, work_dir: Path, seed: int) -> Step:
    """Return the step that trains a model."""
    options = ('--cfg-options', f'randomness.seed={seed}')
    command = rmpe('train', config, '--work-dir', work_dir, *options)
    return Step(name, title, command, resume=('--resume',))


def make_steps(seed: int) -> list[list[Step]]:
    """Return the program; the steps of an inner list run at the same time."""
    pose = last_checkpoint(POSE, POSE_DIR)
    detector = last_checkpoint(DETECTOR, DETECTOR_DIR)
    photo = Step('photo', f'predicting poses in photographs ({PHOTO_DIR})', rmpe(
        'predict', '--model', 'photo', PHOTOGRAPHS, '--out', PHOTO_DIR,
    ))  # fmt: skip
    draw = Step('draw', 'drawing synthetic people', rmpe(
        'synthesize images', DATA, '--difficulty', 'easy',
        '--train', IMAGES['train'], '--val', IMAGES['val'],
    ))  # fmt: skip
    trainings = [
        training('train', 'training a CPN', POSE, POSE_DIR, seed),
        training('train_detector', 'training a detector', DETECTOR, DETECTOR_DIR, seed),
    ]
    detect = Step('detect', 'detecting people', rmpe(
        'detect', DETECTOR, detector, '--ann', VAL_ANN, '--images', DATA / 'val',
        '--out', BOXES, '--score-thr', SCORE_THR,
    ))  # fmt: skip
    test = Step('test', 'testing on detections', rmpe(
        'test', POSE_NMS, pose, '--work-dir', POSE_DIR, '--out', METRICS,
    ))  # fmt: skip
    demo = Step('demo', 'drawing poses', rmpe(
        'predict', POSE, pose, DATA / 'val' / '00000*.jpg',
        '--boxes', BOXES, '--out', DRAWINGS,
    ))  # fmt: skip
    first = [[photo]] if HAS_ONNXRUNTIME else []
    return [*first, [draw], trainings, [detect], [test], [demo]]


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


def report(console: Console) -> None:
    """Print the results, where the images are, and what to read next."""
    console.print(result_table())
    box_ap = validation_metrics(DETECTOR_DIR)['coco/bbox_mAP']
    boxes = count(BOXES) / IMAGES['val']
    photographs = f'{PHOTO_DIR}/*.jpg'
    if not HAS_ONNXRUNTIME:
        photographs = 'they need: pip install onnxruntime'
    lines = (
        f'Poses in photographs: {photographs}',
        f'Detector: box AP {box_ap:.3f}, {boxes:.1f} boxes per image with a score of '
        f'at least {SCORE_THR}.',
        f'Images with poses: {DRAWINGS}/*.jpg',
        f'Logs: {LOGS}',
        'Next: docs/inference.md for your own images, docs/quickstart.md for more.',
    )
    console.print('\n'.join(lines), soft_wrap=True, highlight=False, markup=False)


def run(seed: int, restart: bool, console: Console) -> int:
    """Run the steps that are not finished, and print the results.

    Args:
        seed (int): Random seed of the trainings.
        restart (bool): Whether to run finished steps again.
        console (Console): Where progress and results are printed.

    Returns:
        int: Exit status; 130 after an interrupt.
    """
    if restart:
        forget_steps(LOGS)
        journal_path(BOXES).unlink(missing_ok=True)
    settings = dict(seed=seed, images=IMAGES, score_thr=SCORE_THR)
    return run_program(make_steps(seed), LOGS, settings, report, console)


if __name__ == '__main__':
    sys.exit(main(__doc__, run))
