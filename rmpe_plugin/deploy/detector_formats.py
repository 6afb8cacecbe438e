# SPDX-License-Identifier: Apache-2.0
"""Formats of person detectors in ONNX files, recognised by inputs and outputs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .box_decoding import (
    count_cells,
    decode_nanodet,
    decode_yolox,
    take_boxes,
)
from .letterboxing import MEAN, PADDING, STD

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Of files that leave the size of the images free: that of YOLOX and RTMDet.
FREE_SIZE = (640, 640)


class DetectorFormat(NamedTuple):
    """What a detector's file takes and returns.

    Attributes:
        description (str): Inputs and outputs, for messages.
        decode (Callable): Converts the outputs and the input size [w, h] to boxes
            (B, N, 4), xyxy, in pixels of the input, and scores (B, N) of people.
        mean (tuple[float, ...]): Subtracted from a BGR image.
        std (tuple[float, ...]): Then divided by.
        padding (int): Grey level of the padding.
        iou_threshold (float): Boxes with a larger overlap are suppressed; 1 if the file
            contains NMS.
    """

    description: str
    decode: Callable[
        [Sequence[np.ndarray], tuple[int, int]], tuple[np.ndarray, np.ndarray]
    ]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    padding: int = PADDING
    iou_threshold: float = 1.0


FORMATS = dict(
    rtmdet=DetectorFormat(
        "output 'dets' (1, N, 5), as rmpe export-detector writes it",
        take_boxes,
        MEAN,
        STD,
    ),
    yolox=DetectorFormat(
        "outputs 'dets' (B, N, 5) and 'labels' (B, N), as MMDeploy writes YOLOX",
        take_boxes,
    ),
    yolox_raw=DetectorFormat(
        'one output (B, cells, 5 + classes), as YOLOX writes it',
        decode_yolox,
        iou_threshold=0.45,  # rtmlib's
    ),
    nanodet=DetectorFormat(
        'three outputs (B, cells, classes) and three (B, cells, 4 * bins) of NanoDet',
        decode_nanodet,
        MEAN,
        STD,
        padding=0,
        iou_threshold=0.6,
    ),
)


def recognise_detector(
    session: 'InferenceSession', path: str | Path
) -> tuple[str, tuple[int, int]]:
    """Recognise the format of a person detector.

    The class ``person`` must be the first one. RTMDet that MMDeploy has exported has
    the inputs and outputs of YOLOX and is taken as such.

    Args:
        session (InferenceSession): The loaded file.
        path (str | Path): Its file, for messages.

    Returns:
        tuple[str, tuple[int, int]]: Key of the format in :data:`FORMATS`, and the input
        size [w, h] in pixels, 640x640 if the file leaves it free.

    Raises:
        ValueError: If the format is unknown.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    size = _input_size(inputs)
    name = size and _format_name(outputs, size)
    if not size or not name:
        known = '; '.join(form.description for form in FORMATS.values())
        raise ValueError(
            f'{path} is not a person detector of a known format: it has the inputs '
            f'{_describe(inputs)} and the outputs {_describe(outputs)}. Expected is '
            f'one input (B, 3, h, w) tensor(float), B 1 or free, and {known}'
        )
    return name, size


def _input_size(inputs: list) -> tuple[int, int] | None:
    """Size [w, h] of the only input; None if it does not take images."""
    if [x.type for x in inputs] != ['tensor(float)']:
        return None
    if not _fit(inputs, [(1, 3, None, None)]):
        return None
    height, width = (
        n if isinstance(n, int) else free
        for n, free in zip(inputs[0].shape[2:], FREE_SIZE[::-1], strict=True)
    )
    return width, height


def _format_name(outputs: list, size: tuple[int, int]) -> str | None:
    """Key of the format; None if it is unknown."""
    names = [x.name for x in outputs]
    boxes, labels = (None, None, 5), (None, None)
    if names == ['dets'] and _fit(outputs, [boxes]):
        return 'rtmdet'
    if names == ['dets', 'labels'] and _fit(outputs, [boxes, labels]):
        return 'yolox'
    cells = count_cells(size)
    first, last = (x.shape[-1] if x.shape else 0 for x in (outputs[0], outputs[-1]))
    if not isinstance(first, int) or not isinstance(last, int):
        return None
    if first > 5 and _fit(outputs, [(None, sum(cells), first)]):
        return 'yolox_raw'
    levels = [(None, n, channels) for channels in (first, last) for n in cells]
    if last % 4 == 0 and _fit(outputs, levels):
        return 'nanodet'
    return None


def _fit(values: list, shapes: list[tuple[int | None, ...]]) -> bool:
    """Whether values have these shapes; None and free dimensions fit any number."""
    return [len(x.shape) for x in values] == [len(shape) for shape in shapes] and all(
        n == wanted or wanted is None or not isinstance(n, int)
        for x, shape in zip(values, shapes, strict=True)
        for n, wanted in zip(x.shape, shape, strict=True)
    )


def _describe(values: list) -> str:
    """Names, shapes and types of inputs or outputs."""
    return ', '.join(f'{x.name!r} {(*x.shape,)} {x.type}' for x in values)
