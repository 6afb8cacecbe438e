# SPDX-License-Identifier: Apache-2.0
"""Load MMEngine's checkpoints with torch's weights-only unpickler.

Since torch 2.6 ``torch.load`` loads weights only by default, and MMEngine 0.10 cannot
load its own checkpoints: they also contain the message hub's ``HistoryBuffer`` objects
and numpy arrays. The loaders in this module allow exactly these classes, and only
during a load.
"""

import pickle
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import digit_version

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


def _with_allowed_globals(loader: Callable) -> Callable:
    """Wrap a loader so that only the globals above are allowed while it runs."""

    @wraps(loader)
    def load(filename: str, map_location: Any = None, **kwargs) -> Any:
        try:
            with _allow_globals():
                return loader(filename, map_location, **kwargs)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            if isinstance(error, RuntimeError) and not _TRUNCATED.search(str(error)):
                raise
            raise pickle.UnpicklingError(
                f'{filename} was not loaded: it is damaged, or contains objects that '
                f'MMEngine does not write. {error}'
            ) from error

    return load


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a local checkpoint with the weights-only unpickler.

    MMEngine's loader of this name depends on torch's default, and that of the fork
    onedl-mmengine unpickles any object after the weights-only unpickler has failed.

    Args:
        filename (str): Path of the file.
        map_location (Any, optional): See ``torch.load``. Defaults to ``None``.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If the file does not exist.
        EOFError: If the file is truncated.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {filename} does not exist')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        # torch seeks beyond the end of some truncated files.
        raise EOFError(str(error)) from error


def load_from_http(filename: str, map_location: Any = None, **kwargs) -> Any:
    """Download a checkpoint and load it with the weights-only unpickler.

    MMEngine's loader of this name depends on the default of torch's hub, which
    unpickles any object.

    Args:
        filename (str): URL.
        map_location (Any, optional): See ``torch.load``. Defaults to ``None``.
        kwargs: Arguments of ``torch.hub.load_state_dict_from_url``.

    Returns:
        dict: The checkpoint.
    """
    load = partial(
        torch.hub.load_state_dict_from_url,
        filename,
        map_location=map_location,
        weights_only=True,
        **kwargs,
    )
    # One process downloads; the others load the downloaded file.
    checkpoint = load() if is_main_process() else None
    barrier()
    return load() if checkpoint is None else checkpoint


def register_safe_loaders() -> None:
    """Make MMEngine's ``CheckpointLoader`` use the weights-only unpickler.

    This covers local files and http(s) URLs. With torch below 2.6 no further classes
    can be allowed: checkpoints that contain only weights are loaded, and those that
    MMEngine writes during training raise ``pickle.UnpicklingError``.
    """
    for prefixes, loader in (
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
    ):
        safe_loader = _with_allowed_globals(loader)
        CheckpointLoader.register_scheme(prefixes, safe_loader, force=True)
