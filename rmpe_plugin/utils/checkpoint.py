# SPDX-License-Identifier: Apache-2.0
"""Load MMEngine's checkpoints with torch's weights-only unpickler.

Since torch 2.6 ``torch.load`` loads weights only by default, and MMEngine 0.10 cannot
load its own checkpoints: they also contain the message hub's ``HistoryBuffer`` objects
and numpy arrays. The loaders in this module allow exactly these classes, and only
during a load. Importing this module registers them in MMEngine.
"""

import errno
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import digit_version
from torch import nn

from .download import load_from_http
from .packages import find_in_package

_STATISTICS = ('min', 'max', 'current', 'mean')

# Messages of torch's RuntimeErrors for a truncated file.
_TRUNCATED = re.compile('PytorchStreamReader|unexpected EOF|corrupted')


def _history_method(obj: Any, name: str) -> Callable:
    """Replace ``getattr``, with which a pickled ``HistoryBuffer`` gets its methods."""
    is_history = obj is HistoryBuffer or isinstance(obj, HistoryBuffer)
    if is_history and name in _STATISTICS:
        return getattr(obj, name)
    raise pickle.UnpicklingError(
        f'a checkpoint may not look up {name!r} on {type(obj).__name__}'
    )


def _empty_bytes() -> bytes:
    """Replace ``bytes``, with which an empty array is pickled, such as no sigmas."""
    return b''


def _allowed_globals() -> list:
    """Globals in an MMEngine checkpoint that torch does not allow by default."""
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    # numpy 2 moved these functions. A checkpoint contains the names of the numpy that
    # wrote it.
    functions = [
        (function, f'numpy.{core}.multiarray.{function.__name__}')
        for function in (reconstruct, scalar)
        for core in ('core', '_core')
    ]
    dtypes = [type(np.dtype(x)) for x in ('uint8', 'int64', 'float32', 'float64')]
    return [
        HistoryBuffer,
        (_history_method, 'builtins.getattr'),
        (_empty_bytes, 'builtins.bytes'),
        np.ndarray,
        np.dtype,
        *functions,
        *dtypes,
    ]


def _allow_globals() -> AbstractContextManager:
    """Allow these globals within the context; has no effect with torch below 2.6."""
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        return nullcontext()
    return torch.serialization.safe_globals(_allowed_globals())


@contextmanager
def _force_weights_only() -> Iterator[None]:
    """Make ``torch.load`` ignore ``weights_only=False`` within the context."""
    # torch's hub, with which MMEngine downloads, and the fork onedl-mmengine pass it.
    name = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
    before = os.environ.get(name)
    os.environ[name] = '1'
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _weights_only(loader: Callable) -> Callable:
    """Wrap a loader: while it runs, only weights and the globals above are loaded."""

    @wraps(loader)
    def load(filename: str, map_location: Any = None, **kwargs) -> Any:
        try:
            with _allow_globals(), _force_weights_only():
                return loader(filename, map_location, **kwargs)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            if not _is_damage(error):
                raise
            raise pickle.UnpicklingError(
                f'{filename} was not loaded: it is damaged, or contains objects that '
                f'MMEngine does not write. {error}'
            ) from error

    return load


def _is_damage(error: Exception) -> bool:
    """Whether an error of ``torch.load`` is due to the content of the file."""
    if isinstance(error, RuntimeError):
        return bool(_TRUNCATED.search(str(error)))
    if isinstance(error, OSError):
        # torch seeks beyond the end of some truncated files.
        return error.errno == errno.EINVAL
    return True


def _register_safe_loaders() -> None:
    """Make ``CheckpointLoader`` of MMEngine use the weights-only unpickler.

    This covers all registered schemes: local files, http(s) URLs, ``torchvision://``
    and so on. Downloads are checked, see :func:`.download.load_from_http`. With torch
    below 2.6 no further classes can be allowed:
    checkpoints that contain only weights are loaded, and those that MMEngine writes
    during training raise ``pickle.UnpicklingError``.
    """
    CheckpointLoader.register_scheme('package://', load_from_package, force=True)
    web = ('http://', 'https://')
    CheckpointLoader.register_scheme(web, load_from_http, force=True)
    # torchvision:// and the like call it for the addresses that they stand for.
    mmengine_checkpoint.load_from_http = load_from_http
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        CheckpointLoader.register_scheme(prefix, _weights_only(loader), force=True)


def load_from_package(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint in a Python package, see :func:`.packages.find_in_package`.

    Args:
        filename (str): Address of the checkpoint.
        map_location (Any): Device, as for ``torch.load``. Defaults to ``None``.

    Returns:
        Any: Content of the checkpoint.
    """
    file = find_in_package(filename)
    return torch.load(file, map_location=map_location, weights_only=True)


def load_weights(model: nn.Module, filename: str | Path) -> dict:
    """Load a checkpoint that must contain all parameters of a model.

    MMEngine's function only logs missing parameters and parameters of other shapes.

    Args:
        model (nn.Module): The model.
        filename (str | Path): File or URL.

    Returns:
        dict: ``meta`` of the checkpoint; empty if it has none.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a parameter is missing or has another shape.
    """
    state, meta = read_weights(filename)
    load_state(model, state, filename)
    return meta


def read_weights(filename: str | Path) -> tuple[OrderedDict, dict]:
    """Read the parameters and the meta information of a checkpoint.

    Args:
        filename (str | Path): File or URL.

    Returns:
        tuple[OrderedDict, dict]: Parameters and buffers by their names without
        ``module.``, and ``meta``, which is empty if there is none.

    Raises:
        FileNotFoundError: If the file does not exist.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(filename), map_location='cpu')
    saved = checkpoint.get('state_dict', checkpoint)
    state = OrderedDict((k.removeprefix('module.'), v) for k, v in saved.items())
    state._metadata = getattr(saved, '_metadata', OrderedDict())  # type: ignore[attr-defined]
    return state, checkpoint.get('meta', {})


def load_state(model: nn.Module, state: OrderedDict, filename: str | Path) -> None:
    """Load all parameters and buffers of a model.

    Args:
        model (nn.Module): The model.
        state (OrderedDict): See :func:`read_weights`. It may have more parameters.
        filename (str | Path): Their file, for the error message.

    Raises:
        ValueError: If a parameter is missing or has another shape.
    """
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(f'{filename} does not fit the model: {error}') from error
    if missing:
        raise ValueError(
            f'{filename} does not fit the model: it lacks {len(missing)} of '
            f'{len(model.state_dict())} parameters and buffers of '
            f'{type(model).__name__}, {_first(missing)}; it contains {_first(state)}'
        )


def _first(names: Collection[str], number: int = 3) -> str:
    """The first names of a collection, for messages."""
    more = ', ...' if len(names) > number else ''
    return ', '.join(islice(names, number)) + more


# Not by the importing module: MMEngine's loaders are imported either before this module
# or by it, see rmpe_plugin.utils.lazy.import_after.
_register_safe_loaders()
