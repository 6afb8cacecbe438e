# SPDX-License-Identifier: Apache-2.0
"""Load a person detector by its name."""

from pathlib import Path

from .detector import Detector, WholeImageDetector
from .model_zoo import find_detector
from .person_detector import PersonDetector

WHOLE_IMAGE = 'whole_image'


def load_detector(
    config: str | Path,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    score_thr: float = 0.3,
    top_k: int = 100,
) -> Detector:
    """Load a detector.

    Args:
        config (str | Path): ``'whole_image'`` for one box of the size of the image; or
            a name, a config or an ONNX file, see :func:`find_detector`.
        checkpoint (str | Path, optional): See :func:`find_detector`. Defaults to
            ``None``.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        score_thr (float): Boxes with a lower score are dropped. Defaults to 0.3.
        top_k (int): Maximum number of boxes per image. Defaults to 100.

    Returns:
        Detector: The detector.

    Raises:
        OSError: If the config does not exist, or the weights cannot be downloaded.
        ValueError: If no detector has this name, or see :class:`PersonDetector`.

    Example:
        >>> from rmpe_plugin.apis import load_detector
        >>> detector = load_detector('human')  # doctest: +SKIP
    """
    if config == WHOLE_IMAGE:
        return WholeImageDetector()
    file = find_detector(config, checkpoint).config
    if file.suffix == '.onnx':
        return _load_onnx_detector(file, device, score_thr, top_k)
    return PersonDetector(config, checkpoint, device, score_thr, top_k)


def _load_onnx_detector(
    file: Path, device: str | None, score_thr: float, top_k: int
) -> Detector:
    """Load an ONNX file: that of the detector in the package, or another one."""
    raise ValueError(f'{file}: ONNX files of detectors cannot be loaded yet')
