# SPDX-License-Identifier: Apache-2.0
"""Static quantisation of exported pose estimators with onnxruntime."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rmpe_plugin.utils.files import atomic_write

from .requirements import require

Feeds = dict[str, np.ndarray]


def quantize_onnx(source: Path, path: Path, calibration: Iterable[Feeds]) -> None:
    """Quantise the convolutions of an ONNX file to 8 bits.

    Weights are quantised per channel, activations per tensor, with the ranges that
    occur in the calibration data. Decoding and warping stay in float32.

    Args:
        source (Path): ONNX file in float32.
        path (Path): File to write.
        calibration (Iterable[dict]): Inputs by name, one batch after another.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
        OSError: If the file cannot be written.
    """
    require('onnx', 'onnxruntime')
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder, _quiet():
        prepared, quantized = Path(folder, 'prepared'), Path(folder, 'quantized')
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            _reader(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=['Conv'],
            per_channel=True,
            # CPUs without VNNI add two products of 8 bits in 16 bits, which overflows
            # with weights of 8 bits.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        with atomic_write(path, 'wb') as file:
            file.write(quantized.read_bytes())


def _reader(calibration: Iterable[Feeds]) -> object:
    """Convert to the iterator that onnxruntime expects."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Returns one batch per call, and ``None`` at the end."""

        def __init__(self) -> None:
            self.batches = iter(calibration)

        def get_next(self) -> Feeds | None:
            return next(self.batches, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide onnxruntime's advice, which is followed already."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
