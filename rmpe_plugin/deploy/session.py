# SPDX-License-Identifier: Apache-2.0
"""Loading of exported pose estimators with onnxruntime."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rmpe_plugin.inference import available_cores

from .metadata import PoseMetadata
from .requirements import require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

STANDARD = 'export without --heatmaps, --image-pixels and --for'
PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}


def open_session(
    path: str | Path, device: str | torch.device | None = None
) -> 'InferenceSession':
    """Open an ONNX file with onnxruntime, with a thread for each available core.

    The threads do not spin while they wait, as they do by default: beside other
    processes, spinning threads take the cores from the thread they wait for.

    Args:
        path (str | Path): ONNX file.
        device (str | torch.device, optional): Device as in torch: ``'cpu'``,
            ``'cuda'``, or ``'cuda:1'`` for the second GPU. Defaults to ``None``: CUDA
            if this onnxruntime supports it.

    Returns:
        InferenceSession: The loaded file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If onnxruntime is not installed.
        ValueError: If the device is not available, or if the file is damaged or needs
            a newer onnxruntime.
    """
    require('onnxruntime')
    import onnxruntime

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    provider, settings = _provider(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, [(provider, settings)]
        )
    # onnxruntime raises its own exception classes, which have no common base.
    except Exception as error:
        raise ValueError(
            f'onnxruntime {onnxruntime.__version__} cannot load {path}: {error}'
        ) from error
    if provider not in session.get_providers():
        raise ValueError(
            f'onnxruntime cannot start {provider}: its libraries are missing'
        )
    return session


def supported_device(device: str | None) -> str | None:
    """Replace a device that this onnxruntime does not support by the CPU.

    onnxruntime for CPUs is common beside a torch for GPUs.

    Args:
        device (str, optional): See :func:`open_session`.

    Returns:
        str | None: The device, or ``'cpu'``.

    Raises:
        ImportError: If onnxruntime is not installed.
        RuntimeError: If it is not the name of a device.
    """
    require('onnxruntime')
    import onnxruntime

    if device is None:
        return None
    provider = PROVIDERS.get(torch.device(device).type)
    return device if provider in onnxruntime.get_available_providers() else 'cpu'


def read_metadata(session: 'InferenceSession', path: str | Path) -> PoseMetadata:
    """Read the metadata of a pose estimator in the standard format.

    Args:
        session (InferenceSession): The loaded file.
        path (str | Path): Its file, for messages.

    Returns:
        PoseMetadata: The metadata.

    Raises:
        ValueError: If the file is not a pose estimator of ``rmpe export``, or
            has other inputs or outputs.
    """
    try:
        properties = session.get_modelmeta().custom_metadata_map
        metadata = PoseMetadata.from_properties(properties)
        _check_input(session, metadata)
    except ValueError as error:
        raise ValueError(
            f'{path} is not a pose estimator of rmpe export: {error}'
        ) from error
    return metadata


def _provider(
    device: str | torch.device | None, available: list[str]
) -> tuple[str, dict[str, int]]:
    """Select the execution provider and its settings."""
    if device is None:
        device = 'cuda' if PROVIDERS['cuda'] in available else 'cpu'
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device {device!r} is not a device: {error}') from error
    provider = PROVIDERS.get(place.type, 'another runtime')
    if provider not in available:
        raise ValueError(
            f'device {str(device)!r} needs {provider}, but this onnxruntime has '
            f'{", ".join(available)}'
        )
    on_gpu = place.type == 'cuda' and place.index is not None
    return provider, dict(device_id=place.index) if on_gpu else {}


def _check_input(session: 'InferenceSession', metadata: PoseMetadata) -> None:
    """Raise a ValueError unless the inputs and outputs are those of an export."""
    inputs = {x.name: x.shape for x in session.get_inputs()}
    outputs = [x.name for x in session.get_outputs()]
    width, height = metadata.input_size
    if inputs.get('crops', [])[1:] != [3, height, width] or set(inputs) - {'crops'}:
        raise ValueError(
            f"the input must be 'crops' (batch, 3, {height}, {width}), got {inputs}: "
            + STANDARD
        )
    if outputs != ['keypoints', 'scores']:
        raise ValueError(
            f"the outputs must be 'keypoints' and 'scores', got {outputs}: {STANDARD}"
        )
