# SPDX-License-Identifier: Apache-2.0
"""Draw what an SSTN does to crops: a sheet with a row for each person.

From left to right: the crop, with the window that the STN chose in white and, where the
validation pipeline knows it, the true box's in green; that window, as the network gets
it; its heatmaps there, before the SDTN; and back in the crop, after the SDTN.

Example:
    python tools/draw_sstn.py \
        configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py \
        work_dirs/sstn/epoch_2.pth --out work_dirs/sstn/sheet.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.runner import set_random_seed
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from torch import Tensor

from rmpe_plugin.ops import window_corners

TITLES = ('crop', 'after STN', 'before SDTN', 'after SDTN')
WHITE, GREEN, GREY = (255, 255, 255), (60, 220, 60), (90, 90, 90)
MARGIN = 1 / 8


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


def picture(image: Tensor, scale: int) -> np.ndarray:
    """An RGB image (3, h, w), 0 to 255, as OpenCV takes it, enlarged."""
    array = image.permute(1, 2, 0).clamp(0, 255).byte().cpu().numpy()[..., ::-1]
    return cv2.resize(array, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def with_margin(canvas: np.ndarray) -> np.ndarray:
    """A picture in a grey frame, in which windows can be seen that leave the crop."""
    y, x = (int(MARGIN * side) for side in canvas.shape[:2])
    return cv2.copyMakeBorder(canvas, y, y, x, x, cv2.BORDER_CONSTANT, value=GREY)


def with_window(canvas: np.ndarray, theta: Tensor, colour: tuple) -> np.ndarray:
    """The picture of a crop, in its frame, with the outline of a window (2, 3)."""
    size = np.array(canvas.shape[1::-1])
    inner = size / (1 + 2 * MARGIN) - 1
    corners = size / 2 + window_corners(theta).cpu().numpy() * inner / 2
    outline = [np.round(corners).astype(np.int32)]
    return cv2.polylines(canvas.copy(), outline, True, colour, 2, cv2.LINE_AA)


def with_heatmaps(canvas: np.ndarray, heatmaps: Tensor) -> np.ndarray:
    """All keypoints' heatmaps (K, H, W), in colour over a picture."""
    strongest = heatmaps.amax(dim=0).clamp(min=0)
    strongest = (255 * strongest / strongest.max().clamp(min=1e-6)).byte()
    strongest = cv2.resize(strongest.cpu().numpy(), canvas.shape[1::-1])
    coloured = cv2.applyColorMap(strongest, cv2.COLORMAP_JET)
    return cv2.addWeighted(canvas, 0.5, coloured, 0.5, 0)


def title_row(width: int) -> np.ndarray:
    """The columns' titles, (24, 4 width, 3)."""
    row = np.full((24, len(TITLES) * width, 3), 255, dtype=np.uint8)
    for i, title in enumerate(TITLES):
        place, font = (i * width + 4, 17), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(row, title, place, font, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return row


@torch.no_grad()
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

    crops = batch['inputs']
    images, thetas = model.transform(crops)
    feats = model.warped_features(images, thetas)
    # Stages and levels end with the one that is decoded.
    before, after = (
        maps if isinstance(maps, Tensor) else maps[-1]
        for maps in (model.head.forward(feats.feats), model.head.forward(feats))
    )
    norm = model.data_preprocessor
    rows = []
    for i, sample in enumerate(batch['data_samples']):
        crop, seen = (
            picture(x[i] * norm.std + norm.mean, args.scale) for x in (crops, images)
        )
        outlined = with_window(with_margin(crop), thetas[i], WHITE)
        if 'true_window' in sample:
            outlined = with_window(outlined, sample.true_window, GREEN)
        others = (seen, with_heatmaps(seen, before[i]), with_heatmaps(crop, after[i]))
        rows.append(np.hstack((outlined, *map(with_margin, others))))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.vstack((title_row(rows[0].shape[1] // len(TITLES)), *rows))
    if not cv2.imwrite(str(args.out), sheet):
        raise OSError(f'could not write {args.out}')
    print(args.out)


if __name__ == '__main__':
    main()
