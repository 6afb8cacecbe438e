# SPDX-License-Identifier: Apache-2.0
"""Pictures of what happens to a crop: STN, GlobalNet, RefineNet, SDTN."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmpose.models import TopdownPoseEstimator
from torch import Tensor

from rmpe_plugin.models.heads import CPNHead
from rmpe_plugin.models.heads.sdtn import dewarp_heatmaps
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.ops import window_corners

WHITE, GREEN, GREY = (255, 255, 255), (60, 220, 60), (90, 90, 90)
MARGIN = 1 / 8


@torch.no_grad()
def stage_pictures(
    model: TopdownPoseEstimator,
    inputs: Tensor,
    scale: int = 2,
    true_windows: Sequence[Tensor | None] | None = None,
) -> list[dict[str, np.ndarray]]:
    """Draw what a model does to crops, stage by stage.

    Args:
        model (TopdownPoseEstimator): In evaluation mode, with a heatmap head.
        inputs (Tensor): Crops (B, 3, h, w), normalised.
        scale (int): Size of the pictures to the crops. Defaults to 2.
        true_windows (Sequence[Tensor | None], optional): Of each crop the window that
            would be right (2, 3), drawn in green. Defaults to ``None``.

    Returns:
        list[dict[str, np.ndarray]]: Of each crop its pictures (H, W, 3), BGR, by title
        and all as large: ``'crop'``, with the window that an STN chose in white;
        ``'after STN'``; heatmaps, ``'GlobalNet'`` and ``'RefineNet'`` of a CPN,
        ``'heatmaps'`` of another head; and ``'after SDTN'``, the last ones in the crop.
    """
    sstn = isinstance(model, SSTNPoseEstimator)
    if sstn:
        images, thetas = model.transform(inputs)
        feats, gamma = model.warped_features(images, thetas)
    else:
        images, thetas = inputs, [None] * len(inputs)
        feats = model.extract_feat(inputs)
    heatmaps = _heatmaps(model.head, feats)
    back = dewarp_heatmaps([*heatmaps.values()][-1], gamma) if sstn else None

    norm = model.data_preprocessor
    crops, seen = (_picture(x * norm.std + norm.mean, scale) for x in (inputs, images))
    rows = []
    for i, (crop, window) in enumerate(zip(crops, thetas, strict=True)):
        outlined = with_margin(crop)
        if window is not None:
            outlined = with_window(outlined, window, WHITE)
        if true_windows is not None and true_windows[i] is not None:
            outlined = with_window(outlined, true_windows[i], GREEN)
        row = {'crop': outlined}
        if sstn:
            row['after STN'] = with_margin(seen[i])
        for title, maps in heatmaps.items():
            row[title] = with_margin(with_heatmaps(seen[i], maps[i]))
        if sstn:
            row['after SDTN'] = with_margin(with_heatmaps(crop, back[i]))
        rows.append(row)
    return rows


def stage_sheet(rows: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    """Put pictures on one sheet, a row for each crop, under their titles.

    Args:
        rows (Sequence[dict[str, np.ndarray]]): As :func:`stage_pictures` gives them.

    Returns:
        np.ndarray: The sheet (H, W, 3), BGR.
    """
    width = next(iter(rows[0].values())).shape[1]
    titles = np.full((24, width * len(rows[0]), 3), 255, dtype=np.uint8)
    for i, title in enumerate(rows[0]):
        place, font = (i * width + 4, 17), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(titles, title, place, font, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack((titles, *(np.hstack(list(row.values())) for row in rows)))


def with_margin(canvas: np.ndarray) -> np.ndarray:
    """Frame a picture in grey, so that windows can be seen that leave the crop.

    Args:
        canvas (np.ndarray): (H, W, 3).

    Returns:
        np.ndarray: With an eighth more on each side.
    """
    y, x = (int(MARGIN * side) for side in canvas.shape[:2])
    return cv2.copyMakeBorder(canvas, y, y, x, x, cv2.BORDER_CONSTANT, value=GREY)


def with_window(
    canvas: np.ndarray, theta: Tensor, colour: tuple[int, int, int]
) -> np.ndarray:
    """Outline a window on the picture of a crop.

    Args:
        canvas (np.ndarray): The crop as :func:`with_margin` framed it.
        theta (Tensor): The window (2, 3).
        colour (tuple[int, int, int]): BGR.

    Returns:
        np.ndarray: Another picture.
    """
    size = np.array(canvas.shape[1::-1])
    inner = size / (1 + 2 * MARGIN) - 1
    corners = size / 2 + window_corners(theta).cpu().numpy() * inner / 2
    outline = [np.round(corners).astype(np.int32)]
    return cv2.polylines(canvas.copy(), outline, True, colour, 2, cv2.LINE_AA)


def with_heatmaps(canvas: np.ndarray, heatmaps: Tensor) -> np.ndarray:
    """Lay all keypoints' heatmaps, in colour, over a picture.

    Args:
        canvas (np.ndarray): (h, w, 3).
        heatmaps (Tensor): (K, H, W).

    Returns:
        np.ndarray: Another picture.
    """
    strongest = heatmaps.amax(dim=0).clamp(min=0)
    strongest = (255 * strongest / strongest.max().clamp(min=1e-6)).byte()
    strongest = cv2.resize(strongest.cpu().numpy(), canvas.shape[1::-1])
    coloured = cv2.applyColorMap(strongest, cv2.COLORMAP_JET)
    return cv2.addWeighted(canvas, 0.5, coloured, 0.5, 0)


def _heatmaps(head: torch.nn.Module, feats: Sequence[Tensor]) -> dict[str, Tensor]:
    """A head's heatmaps (B, K, H, W) by title."""
    maps = head.forward(feats)
    if not isinstance(head, CPNHead):
        # Stages and levels end with the maps that are decoded.
        return {'heatmaps': maps if isinstance(maps, Tensor) else maps[-1]}
    titled = {}
    if head.global_loss is not None:
        titled['GlobalNet'] = maps[0]
    if head.refine_net is not None:
        titled['RefineNet'] = maps[-1]
    return titled


def _picture(images: Tensor, scale: int) -> list[np.ndarray]:
    """RGB images (B, 3, h, w), 0 to 255, as OpenCV takes them, enlarged."""
    arrays = images.clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()[..., ::-1]
    return [
        cv2.resize(array, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        for array in arrays
    ]
