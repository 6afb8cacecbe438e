# SPDX-License-Identifier: Apache-2.0
"""Draw what an SSTN does to crops: a sheet with a row for each person.

From left to right: the crop, with the window that the STN chose in white and, where the
validation pipeline knows it, the true box's in green; that window, as the network gets
it; its heatmaps there, of a CPN GlobalNet's and RefineNet's; and the last ones back in
the crop, after the SDTN.

Example:
    python tools/draw_sstn.py \
        configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py \
        work_dirs/sstn/epoch_2.pth --out work_dirs/sstn/sheet.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.runner import set_random_seed
from mmpose.apis import init_model
from mmpose.registry import DATASETS

from rmpe_plugin.visualization import stage_pictures, stage_sheet


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='of an SSTNPoseEstimator')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='picture to write')
    parser.add_argument('--num', type=int, default=6, help='how many people')
    parser.add_argument('--scale', type=int, default=2, help='size of the pictures')
    parser.add_argument('--seed', type=int, default=0, help='of the perturbation')
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='as in train.py'
    )
    args = parser.parse_args()
    for path in (args.config, args.checkpoint):
        if not path.is_file():
            parser.error(f'{path} does not exist')
    if args.num < 1 or args.scale < 1:
        parser.error('--num and --scale must be at least 1')
    return args


def main() -> None:
    args = parse_args()
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    model = init_model(config, str(args.checkpoint), device=args.device)
    dataset = DATASETS.build(config.val_dataloader.dataset)
    set_random_seed(args.seed)
    number = min(args.num, len(dataset))
    chosen = np.linspace(0, len(dataset) - 1, number).astype(int)
    batch = pseudo_collate([dataset[i] for i in chosen])
    batch = model.data_preprocessor(batch)

    windows = [sample.get('theta_gt') for sample in batch['data_samples']]
    rows = stage_pictures(model, batch['inputs'], args.scale, windows)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), stage_sheet(rows)):
        raise OSError(f'could not write {args.out}')
    print(args.out)


if __name__ == '__main__':
    main()
