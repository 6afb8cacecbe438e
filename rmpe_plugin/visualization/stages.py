# SPDX-License-Identifier: Apache-2.0
"""Images of the stages of a model on a crop: STN, GlobalNet, RefineNet, SDTN."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmpose.models import TopdownPoseEstimator
from torch import Tensor

from rmpe_plugin.models.heads import STAGES, last_stage
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.ops import invert_affine, window_corners

WHITE, GREEN, GREY = (255, 255, 255), (60, 220, 60), (90, 90, 90)
# Width of the frame around a crop, relative to the crop.
MARGIN = 1 / 8
TITLE_HEIGHT = 24
TITLES = {'global': 'GlobalNet', 'refine': 'RefineNet'}


def draw_batch_stages(
    model: TopdownPoseEstimator, data_batch: dict, scale: int = 2
) -> np.ndarray:
    """Draw the stages of a model on a batch of a data loader, as one sheet.

    Args:
        model (TopdownPoseEstimator): Model in eval mode, with a heatmap head.
        data_batch (dict): Collated batch, before the data preprocessor. Ground-truth
            windows are drawn if the samples have ``theta_gt``.
        scale (int): See :func:`draw_stages`. Defaults to 2.

    Returns:
        np.ndarray: Sheet (H, W, 3), BGR, see :func:`stage_sheet`.
    """
    batch = model.data_preprocessor(data_batch)
    theta_gt = [sample.get('theta_gt') for sample in batch['data_samples']]
    return stage_sheet(draw_stages(model, batch['inputs'], scale, theta_gt))


@torch.no_grad()
def draw_stages(
    model: TopdownPoseEstimator,
    inputs: Tensor,
    scale: int = 2,
    theta_gt: Sequence[Tensor | None] | None = None,
) -> list[dict[str, np.ndarray]]:
    """Draw the stages of a model on crops.

    Args:
        model (TopdownPoseEstimator): Model in eval mode, with a heatmap head.
        inputs (Tensor): Normalised crops (B, 3, h, w).
        scale (int): Factor by which crops are enlarged. Defaults to 2.
        theta_gt (Sequence[Tensor | None], optional): Ground-truth window (2, 3) of each
            crop, drawn in green. Defaults to ``None``.

    Returns:
        list[dict[str, np.ndarray]]: Images (H, W, 3) of each crop by title, BGR, all of
        one size: ``'crop'``, with the window of the STN in white; ``'after STN'``;
        heatmaps, ``'GlobalNet'`` and ``'RefineNet'`` of a CPN or ``'heatmaps'`` of
        another head; and ``'after SDTN'``, the last heatmaps in the frame of the crop.
    """
    sstn = isinstance(model, SSTNPoseEstimator)
    warped, thetas = model.transform(inputs) if sstn else (inputs, None)
    heatmaps = _heatmaps_by_title(model.head, model.extract_feat(warped))
    in_crop = None
    if sstn:
        in_crop = model.sdtn([*heatmaps.values()][-1], invert_affine(thetas))

    norm = model.data_preprocessor
    crops, windows = (
        _to_images(x * norm.std + norm.mean, scale) for x in (inputs, warped)
    )
    rows = []
    for i, crop in enumerate(crops):
        outlined = add_margin(crop)
        if sstn:
            outlined = draw_window(outlined, thetas[i], WHITE)
        if theta_gt is not None and theta_gt[i] is not None:
            outlined = draw_window(outlined, theta_gt[i], GREEN)
        row = {'crop': outlined}
        if sstn:
            row['after STN'] = add_margin(windows[i])
        for title, maps in heatmaps.items():
            row[title] = add_margin(draw_heatmaps(windows[i], maps[i]))
        if sstn:
            row['after SDTN'] = add_margin(draw_heatmaps(crop, in_crop[i]))
        rows.append(row)
    return rows


def stage_sheet(rows: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    """Arrange images on one sheet: a row for each crop, below a line of titles.

    Args:
        rows (Sequence[dict[str, np.ndarray]]): Output of :func:`draw_stages`.

    Returns:
        np.ndarray: Sheet (H, W, 3), BGR.
    """
    width = next(iter(rows[0].values())).shape[1]
    titles = np.full((TITLE_HEIGHT, width * len(rows[0]), 3), 255, dtype=np.uint8)
    for i, title in enumerate(rows[0]):
        position, font = (i * width + 4, 17), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(titles, title, position, font, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack((titles, *(np.hstack(list(row.values())) for row in rows)))


def add_margin(image: np.ndarray) -> np.ndarray:
    """Add a grey margin to a crop, so that windows can extend beyond it.

    Args:
        image (np.ndarray): Crop (h, w, 3).

    Returns:
        np.ndarray: Image with a margin of an eighth of its size on each side.
    """
    y, x = (int(MARGIN * side) for side in image.shape[:2])
    return cv2.copyMakeBorder(image, y, y, x, x, cv2.BORDER_CONSTANT, value=GREY)


def draw_window(
    image: np.ndarray, theta: Tensor, colour: tuple[int, int, int]
) -> np.ndarray:
    """Draw the outline of a window on a crop.

    Args:
        image (np.ndarray): Output of :func:`add_margin` for the crop.
        theta (Tensor): Window (2, 3).
        colour (tuple[int, int, int]): BGR.

    Returns:
        np.ndarray: New image.
    """
    size = np.array(image.shape[1::-1])
    crop_extent = size / (1 + 2 * MARGIN) - 1
    corners = size / 2 + window_corners(theta).cpu().numpy() * crop_extent / 2
    outline = [np.round(corners).astype(np.int32)]
    return cv2.polylines(image.copy(), outline, True, colour, 2, cv2.LINE_AA)


def draw_heatmaps(image: np.ndarray, heatmaps: Tensor) -> np.ndarray:
    """Blend an image with the maximum over all keypoints' heatmaps, in colour.

    Args:
        image (np.ndarray): (h, w, 3).
        heatmaps (Tensor): (K, H, W).

    Returns:
        np.ndarray: New image.
    """
    maximum = heatmaps.amax(dim=0).clamp(min=0)
    maximum = (255 * maximum / maximum.max().clamp(min=1e-6)).byte()
    maximum = cv2.resize(maximum.cpu().numpy(), image.shape[1::-1])
    coloured = cv2.applyColorMap(maximum, cv2.COLORMAP_JET)
    return cv2.addWeighted(image, 0.5, coloured, 0.5, 0)


def _heatmaps_by_title(
    head: torch.nn.Module, feats: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Heatmaps (B, K, H, W) of a head by title."""
    heatmaps = head.forward(feats)
    # Only CPNHead names its stages. Of other heads the last one is decoded.
    stages = getattr(head, 'stages', None)
    if stages is None:
        return {'heatmaps': last_stage(heatmaps)}
    return {TITLES[stage]: heatmaps[STAGES[stage]] for stage in stages}


def _to_images(images: Tensor, scale: int) -> list[np.ndarray]:
    """Convert RGB images (B, 3, h, w), 0 to 255, to enlarged BGR arrays."""
    arrays = images.clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()[..., ::-1]
    return [
        cv2.resize(array, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        for array in arrays
    ]
