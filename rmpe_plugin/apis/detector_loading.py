# SPDX-License-Identifier: Apache-2.0
"""Detectors by name or file, among them the one in this package."""

from pathlib import Path

from rmpe_plugin.deploy import supported_device
from rmpe_plugin.utils.model_zoo import find_detector

from .detector import Detector, WholeImageDetector
from .min_area_detector import MinAreaDetector
from .onnx_person_detector import OnnxPersonDetector
from .tiled_detector import TiledDetector

PERSON = 'person'
WHOLE_IMAGE = 'whole_image'
# With this threshold docs/model_cards.md measures the included detector.
PERSON_SCORE_THR = 0.35
SCORE_THR = 0.3


def load_detector(
    config: str | Path = PERSON,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    score_thr: float | None = None,
    top_k: int = 100,
    *,
    tiles: bool = False,
    min_box_area: float | None = None,
) -> Detector:
    """Load a person detector.

    Args:
        config (str | Path): ``'person'``, NanoDet in this package; ``'whole_image'``,
            one box of the size of the image; an ONNX file, see
            :class:`OnnxPersonDetector`; or a name or config, see
            :func:`find_detector`. Defaults to ``'person'``.
        checkpoint (str | Path, optional): See :func:`find_detector`. Defaults to
            ``None``.
        device (str, optional): ``'cuda:1'`` is the second GPU. Defaults to ``None``:
            CUDA if available. ONNX files run on the CPU if this onnxruntime does not
            support the device.
        score_thr (float, optional): Boxes with a lower score are dropped. Defaults to
            ``None``: 0.35 for ``'person'``, 0.3 for others.
        top_k (int): Maximum number of boxes per image; those with the highest scores
            are kept. Defaults to 100.
        tiles (bool): Whether to detect in four overlapping tiles too, see
            :class:`TiledDetector`. Defaults to ``False``.
        min_box_area (float, optional): Boxes with a smaller area in square pixels are
            dropped. Defaults to ``None``.

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
    detector = _load(config, checkpoint, device, score_thr, top_k)
    if tiles:
        detector = TiledDetector(detector)
    if min_box_area is not None:
        detector = MinAreaDetector(detector, min_box_area)
    return detector


def default_score_thr(config: str | Path) -> float:
    """Lowest score of a detector's boxes, if none is given.

    Args:
        config (str | Path): See :func:`load_detector`.

    Returns:
        float: 0.35 for the detector in this package, and 0.3 for others.
    """
    return PERSON_SCORE_THR if config == PERSON else SCORE_THR


def _load(
    config: str | Path,
    checkpoint: str | Path | None,
    device: str | None,
    score_thr: float | None,
    top_k: int,
) -> Detector:
    """Load a detector for whole images."""
    is_whole_image = config == WHOLE_IMAGE
    file = '' if is_whole_image else str(find_detector(config, checkpoint).config)
    if checkpoint is not None and (is_whole_image or file.endswith('.onnx')):
        raise ValueError(f'detector {config} takes no checkpoint, got {checkpoint}')
    if is_whole_image:
        return WholeImageDetector()
    if score_thr is None:
        score_thr = default_score_thr(config)
    if not file.endswith('.onnx'):
        # Imports all models of MMDetection.
        from .person_detector import PersonDetector

        return PersonDetector(config, checkpoint, device, score_thr, top_k)
    return OnnxPersonDetector(file, supported_device(device), score_thr, top_k)
