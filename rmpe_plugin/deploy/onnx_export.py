# SPDX-License-Identifier: Apache-2.0
"""Writing of ONNX files."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from rmpe_plugin.utils.files import atomic_write

from .requirements import require

# From opset 20 on there is AffineGrid, which some runtimes compute wrongly. Opset 18 is
# the first that the exporter writes without conversion.
OPSET = 18


def write_onnx(
    graph: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    metadata: Mapping[str, str],
    dynamic_batch: bool = True,
) -> None:
    """Export a module and write it to an ONNX file, completely or not at all.

    Args:
        graph (nn.Module): Module in eval mode.
        inputs (Mapping[str, Tensor]): Example inputs by name. With ``dynamic_batch``
            the batch size must be at least 2.
        outputs (Sequence[str]): Names of the outputs.
        path (Path): File to write.
        metadata (Mapping[str, str]): Metadata properties of the file.
        dynamic_batch (bool): Whether the first axis of all inputs has any size.
            Defaults to ``True``.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
        OSError: If the file cannot be written, for example on a full disk.
    """
    require('onnx', 'onnxscript')
    axes = {0: torch.export.Dim('batch')} if dynamic_batch else None
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(axes,) * len(inputs),
            verbose=False,
        )
    model = program.model_proto
    for name, value in metadata.items():
        model.metadata_props.add(key=name, value=value)
    with atomic_write(path, 'wb') as file:
        file.write(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's notes, which are about torch's own code."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
