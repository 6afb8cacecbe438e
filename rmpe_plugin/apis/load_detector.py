# SPDX-License-Identifier: Apache-2.0
"""Detectors by name or file, among them the one in this package."""

from pathlib import Path

from .detector import Detector, WholeImageDetector
from .onnx_person_detector import OnnxPersonDetector
from .person_detector import PersonDetector

PERSON = 'person'
WHOLE_IMAGE = 'whole_image'
PERSON_FILE = Path(__file__).parents[1] / 'weights' / 'nanodet_416_fp16.onnx'
# With this threshold docs/photographs.md measures the included detector.
PERSON_SCORE_THR = 0.35
SCORE_THR = 0.3


def load_detector(
    config: str | Path = PERSON,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    score_thr: float | None = None,
    top_k: int = 100,
) -> Detector:
    """Load a person detector.

    Args:
        config (str | Path): ``'person'``, NanoDet in this package; ``'whole_image'``,
            one box of the size of the image; an ONNX file, see
            :class:`OnnxPersonDetector`; or, with a checkpoint, a config of MMDetection,
            see :class:`PersonDetector`. Defaults to ``'person'``.
        checkpoint (str | Path, optional): File or URL of the weights of a config.
            Defaults to ``None``.
        device (str, optional): Defaults to ``None``: CUDA if available. ONNX files run
            on the CPU if this onnxruntime does not support the device.
        score_thr (float, optional): Boxes with a lower score are dropped. Defaults to
            ``None``: 0.35 for ``'person'``, 0.3 for others.
        top_k (int): Maximum number of boxes per image; those with the highest scores
            are kept. Defaults to 100.

    Returns:
        Detector: The detector.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImportError: If onnxruntime is not installed.
        ValueError: If no detector has this name, if a file does not contain a detector,
            or if a checkpoint is given without a config.

    Example:
        >>> from rmpe_plugin.apis import load_detector
        >>> (people,) = load_detector('person')([image])  # doctest: +SKIP
    """
    name = str(config)
    in_one_file = name in (PERSON, WHOLE_IMAGE) or name.endswith('.onnx')
    if in_one_file == (checkpoint is not None):
        raise ValueError(
            f'detector {name} takes no checkpoint, got {checkpoint}'
            if in_one_file
            else f'the checkpoint of detector {name} is missing; without one, a '
            f'detector is {PERSON!r}, {WHOLE_IMAGE!r} or an ONNX file'
        )
    if name == WHOLE_IMAGE:
        return WholeImageDetector()
    if score_thr is None:
        score_thr = PERSON_SCORE_THR if name == PERSON else SCORE_THR
    if not in_one_file:
        return PersonDetector(config, checkpoint, device, score_thr, top_k)
    path = PERSON_FILE if name == PERSON else config
    # onnxruntime for CPUs is common beside a torch for GPUs.
    onnx_device = 'cpu' if device == 'cpu' else None
    return OnnxPersonDetector(path, onnx_device, score_thr, top_k)
