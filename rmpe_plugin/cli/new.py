# SPDX-License-Identifier: Apache-2.0
r"""Write the config that trains a model on own COCO annotations.

The file is checked first, as for a training. Names, skeleton, left and right, and
sigmas of the keypoints are read from its categories, also in the training. The config
contains paths as they are given here, and is a short text to be edited.

Example:
    rmpe new data/mine/train.json --val data/mine/val.json --images data/mine/images \
        --out mine.py
"""

import argparse
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from rich.table import Table

from rmpe_plugin.apis import find_model, is_model_name
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.datasets.body import CheckedCocoDataset
from rmpe_plugin.evaluation.metrics import PoseNMSCocoMetric
from rmpe_plugin.structures import describe_keypoints, is_evaluated, read_annotations
from rmpe_plugin.utils.arguments import existing_file, existing_folder
from rmpe_plugin.utils.configs import PACKAGE, find_config
from rmpe_plugin.utils.files import atomic_write, find_shipped
from rmpe_plugin.utils.tables import table_console

# Length of a fine-tuning.
EPOCHS = 20


class Split(NamedTuple):
    """Annotations and their images.

    Attributes:
        ann_file (Path): COCO annotations.
        images (Path): Folder of the images.
        names (list[str]): Names of the keypoints.
        has_areas (bool): Whether each annotation has an area.
    """

    ann_file: Path
    images: Path
    names: list[str]
    has_areas: bool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'annotations', type=existing_file, metavar='ANNOTATIONS',
        help='COCO annotations to train on',
    )  # fmt: skip
    parser.add_argument(
        '--val', type=existing_file, metavar='VAL.json',
        help='COCO annotations to test on (default: ANNOTATIONS, which says nothing '
        'about other images)',
    )  # fmt: skip
    parser.add_argument(
        '--images', type=existing_folder, metavar='DIR',
        help='folder of the images (default: that of ANNOTATIONS)',
    )  # fmt: skip
    parser.add_argument(
        '--val-images', type=existing_folder, metavar='DIR',
        help='folder of the images of VAL.json (default: that of --images)',
    )  # fmt: skip
    parser.add_argument(
        '--from', dest='base', default='photo', metavar='MODEL',
        help='the model to start from: a name that rmpe models lists, or a config, a '
        'file or PACKAGE::PATH, without trained weights (default: photo)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, default=Path('mine.py'), help='file to write (default: '
        '%(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--force', action='store_true', help='replace the file if it exists'
    )
    args = parser.parse_args()
    if args.out.suffix != '.py':
        parser.error(f'--out must end with .py, got {args.out}')
    if args.out.exists() and not args.force:
        parser.error(f'{args.out} exists; --force replaces it')
    args.images = args.images or args.annotations.parent
    return args


def read_split(ann_file: Path, images: Path, title: str) -> tuple[Split, Table]:
    """Check annotations, and summarise them.

    Args:
        ann_file (Path): COCO annotations.
        images (Path): Folder of the images.
        title (str): Title of the summary.

    Returns:
        tuple[Split, Table]: The annotations and their summary.

    Raises:
        ValueError: If no category names keypoints, an image is missing, or
            :class:`rmpe_plugin.datasets.CheckedCocoDataset` raises.
    """
    content = read_annotations(ann_file)
    described = describe_keypoints(ann_file, content)
    if described is None:
        raise ValueError(
            f'{ann_file}: no category has keypoints, the list of their names'
        )
    people = CheckedCocoDataset(
        ann_file=str(ann_file), data_prefix=dict(img=str(images)), serialize_data=False
    )
    files = [images / image['file_name'] for image in content['images']]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f'{ann_file}: {len(missing)} of {len(files)} images are missing, such as '
            f'{missing[0]}; --images or --val-images is their folder'
        )
    boxes = np.concatenate([person['bbox'] for person in people.data_list])
    width, height = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    has_areas = all(map(_has_area, content['annotations']))
    table = Table(title, str(ann_file))
    for row in (
        ('images', f'{len(files)} in {images}'),
        ('people', f'{len(people)} of {len(content["annotations"])}'),
        ('boxes', f'{width:.0f} x {height:.0f} pixels (median)'),
        ('areas', 'of the file' if has_areas else '0.53 of the boxes'),
        ('keypoints', f'{len(described.names)}: {", ".join(described.names)}'),
        ('swap', ', '.join(f'{a} and {b}' for a, b in described.swaps) or 'none'),
    ):
        table.add_row(*row)
    return Split(ann_file, images, described.names, has_areas), table


def _has_area(annotation: dict) -> bool:
    """Whether an annotation has the area that the evaluation needs."""
    area = annotation.get('area')
    return area is not None and (area > 0 or not is_evaluated(annotation))


def find_base(name: str, out: Path) -> tuple[str, Config, bool]:
    """Find the config to inherit.

    Args:
        name (str): Name of a model, or a config.
        out (Path): The config that inherits it.

    Returns:
        tuple[str, Config, bool]: Its name in ``_base_``, its content, and whether the
        model has weights of this name.

    Raises:
        FileNotFoundError: If the config does not exist.
        ValueError: If its training data are no ``CheckedCocoDataset``.
    """
    has_weights = is_model_name(name) and not Path(name).exists()
    path = find_model(name).config if has_weights else find_config(name)
    base = name
    if '::' not in name:
        base = os.path.relpath(path, out.parent)
        configs = find_shipped('model-index.yml').parent / 'configs'
        if path.is_relative_to(configs):
            base = f'{PACKAGE}::{path.relative_to(configs)}'
    config = Config.fromfile(path)
    kind = config.get('train_dataloader', {}).get('dataset', {}).get('type')
    if kind != 'CheckedCocoDataset':
        raise ValueError(
            f'{name}: train_dataloader.dataset must be a CheckedCocoDataset, as in the '
            f'configs of this package, got {kind}'
        )
    return base, config, has_weights


def config_text(
    base: str, config: Config, weights: str | None, train: Split, val: Split
) -> str:
    """Text of the new config.

    Args:
        base (str): Config that it inherits, as in ``_base_``.
        config (Config): Content of the inherited config.
        weights (str, optional): Checkpoint that ``FinetuneHook`` loads.
        train (Split): The training data.
        val (Split): The validation data.

    Returns:
        str: The text.
    """
    number, old = len(train.names), config.train_dataloader.dataset
    head = [f'out_channels={number}']
    if 'topk' in config.model.head.get('loss', {}):
        head.append(f'loss=dict(topk={max(number // 2, 1)})')
    if config.model.head.get('decoder', {}).get('calibration'):
        head.append('decoder=dict(calibration=None)')
    model = ['head=head']
    schedule: list[str] = []
    hooks = ['*_base_.custom_hooks'] if config.get('custom_hooks') else []
    if weights:
        hooks.append(f"dict(type='FinetuneHook', checkpoint={weights!r})")
        schedule = [
            f'train_cfg = dict(max_epochs={EPOCHS}, val_interval=5)',
            '*start, last = _base_.param_scheduler',
            f'param_scheduler = [*start, dict(last, end={EPOCHS})]',
        ]
    if weights and config.model.backbone.get('init_cfg'):
        model.insert(0, 'backbone=dict(init_cfg=None)')
    dataset = ["data_root=''", f'data_prefix=dict(img={str(train.images)!r})']
    # MMEngine would merge dict() with the inherited description.
    if old.get('metainfo'):
        dataset.append('metainfo=None')
    of_train = f'ann_file={str(train.ann_file)!r}'
    of_val = [f'ann_file={str(val.ann_file)!r}']
    if config.val_dataloader.dataset.get('bbox_file'):
        of_val.append('bbox_file=None')
    if val.images != train.images:
        of_val.append(f'data_prefix=dict(img={str(val.images)!r})')
    metric = ["type='PoseNMSCocoMetric'", 'score_offset=0.5', "nms_mode='none'"]
    if not val.has_areas:
        metric.append('use_area=False')
    lines = [
        f'_base_ = {base!r}',
        'load_from = None' if config.get('load_from') else '',
        f'custom_hooks = [{", ".join(hooks)}]' if weights else '',
        f'head = dict({", ".join(head)})',
        f'model = dict({", ".join(model)})',
        f'dataset = dict({", ".join(dataset)})',
        f'train_dataloader = dict(dataset=dict(dataset, {of_train}))',
        f'val_dataloader = dict(dataset=dict(dataset, {", ".join(of_val)}))',
        'test_dataloader = val_dataloader',
        f'metric = dict({", ".join(metric)})',
        f'val_evaluator = [dict(metric, ann_file={str(val.ann_file)!r})]',
        'test_evaluator = val_evaluator',
        *schedule,
    ]
    return ''.join(f'{line}\n' for line in lines if line)


@exit_status
def main() -> None:
    args = parse_args()
    base, config, has_weights = find_base(args.base, args.out)
    train, table = read_split(args.annotations, args.images, 'training')
    tables, val = [table], train
    if args.val:
        folder = args.val_images or args.images
        val, table = read_split(args.val, folder, 'validation')
        tables.append(table)
    if val.names != train.names:
        raise ValueError(
            f'{args.val} has the keypoints {", ".join(val.names)}, but '
            f'{args.annotations} {", ".join(train.names)}'
        )
    # Raises for what only the evaluation needs.
    PoseNMSCocoMetric(ann_file=str(val.ann_file), use_area=val.has_areas)
    weights = args.base if has_weights else None
    with atomic_write(args.out) as file:
        file.write(config_text(base, config, weights, train, val))
    table_console().print(*tables)
    if not args.val:
        print('without --val, the model is tested on the people it is trained on')
    print(f'{args.out} is written; rmpe train {args.out} trains')
