# SPDX-License-Identifier: Apache-2.0
r"""Draw the stages of an SSTN on one sheet, with a row for each person.

From left to right: the crop, with the window of the STN in white and, if the validation
pipeline computes it, the ground-truth window in green; the warped image; heatmaps of
the warped image, for a CPN those of GlobalNet and RefineNet; and the last heatmaps
after the SDTN, in the frame of the crop.

Example:
    python -m experiments.draw_sstn \
        configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py \
        work_dirs/sstn/epoch_2.pth --out work_dirs/sstn/sheet.png
"""

import argparse

import cv2
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpose.registry import DATASETS

from rmpe_plugin.apis import load_pose_estimator
from rmpe_plugin.utils.arguments import at_least, existing_file, image_to_write
from rmpe_plugin.visualization import draw_batch_stages


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config', type=existing_file, help='config of an SSTNPoseEstimator'
    )
    parser.add_argument('checkpoint', type=existing_file)
    parser.add_argument(
        '--out', type=image_to_write, required=True, help='image to write'
    )
    parser.add_argument(
        '--num', type=at_least(1), default=6, help='number of people (default: 6)'
    )
    parser.add_argument(
        '--scale',
        type=at_least(1),
        default=2,
        help='factor by which crops are enlarged (default: 2)',
    )
    parser.add_argument(
        '--seed',
        type=at_least(0),
        default=0,
        help='seed of the perturbation (default: 0)',
    )
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='as in train.py'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    init_default_scope('mmpose')
    try:
        model = load_pose_estimator(config, args.checkpoint, args.device)
        dataset = DATASETS.build(config.val_dataloader.dataset)
    except (OSError, ValueError) as error:
        raise SystemExit(f'draw_sstn.py: error: {error}') from error
    set_random_seed(args.seed)
    number = min(args.num, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, number).astype(int)
    batch = pseudo_collate([dataset[i] for i in indices])

    sheet = draw_batch_stages(model, batch, args.scale)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), sheet):
        raise SystemExit(f'could not write {args.out}')
    print(args.out)


if __name__ == '__main__':
    main()
