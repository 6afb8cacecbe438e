# SPDX-License-Identifier: Apache-2.0
"""Load MMEngine's checkpoints with torch's weights-only unpickler.

Since torch 2.6 ``torch.load`` reads weights only, and stock MMEngine 0.10 cannot read
the checkpoints it writes: they also hold the message hub's ``HistoryBuffer`` objects
and numpy arrays. Here exactly those classes are allowed, for the time of one load.
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

# What torch's RuntimeErrors say of a file that is cut off, by where it is.
_CUT_OFF = re.compile('PytorchStreamReader|unexpected EOF|corrupted')


def _history_method(obj: Any, name: str) -> Callable:
    """Stand in for ``getattr`` where a pickled ``HistoryBuffer`` names a statistic."""
    known = obj is HistoryBuffer or isinstance(obj, HistoryBuffer)
    if known and name in _STATISTICS:
        return getattr(obj, name)
    raise pickle.UnpicklingError(
        f'a checkpoint may not look up {name!r} on {type(obj).__name__}'
    )


def _allowed_globals() -> list:
    """Everything but tensors and builtins that an MMEngine checkpoint holds."""
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    # numpy 2 moved these two; a checkpoint names them as its writer's numpy did.
    moved = [
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
        *moved,
        *dtypes,
    ]


def _allowing() -> AbstractContextManager:
    """Allow the globals above; torch below 2.6 cannot, and reads weights alone."""
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        return nullcontext()
    return torch.serialization.safe_globals(_allowed_globals())


def _safely(loader: Callable) -> Callable:
    """Wrap a loader: the globals above are allowed while it runs, and no others."""

    @wraps(loader)
    def load(filename: str, map_location: Any = None, **kwargs) -> Any:
        try:
            with _allowing():
                return loader(filename, map_location, **kwargs)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            if isinstance(error, RuntimeError) and not _CUT_OFF.search(str(error)):
                raise
            raise pickle.UnpicklingError(
                f'{filename} was not loaded: beside weights it holds objects that '
                f'MMEngine does not write, or it is damaged. {error}'
            ) from error

    return load


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a checkpoint weights-only.

    MMEngine's own loader of this name leaves it to torch's default, and that of the
    fork onedl-mmengine unpickles anything once the weights-only unpickler refuses.

    Args:
        filename (str): Path.
        map_location (Any, optional): As ``torch.load``'s.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        EOFError: If it is cut off.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {filename} does not exist')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        # where the file is cut off, torch seeks beyond its ends
        raise EOFError(str(error)) from error


def load_from_http(filename: str, map_location: Any = None, **kwargs) -> Any:
    """Download a checkpoint and read it weights-only.

    MMEngine's own loader of this name leaves it to torch's hub, which would unpickle
    anything.

    Args:
        filename (str): URL.
        map_location (Any, optional): As ``torch.load``'s.
        kwargs: As ``torch.hub.load_state_dict_from_url``'s.

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
    # One process downloads, the others read its file.
    checkpoint = load() if is_main_process() else None
    barrier()
    return load() if checkpoint is None else checkpoint


def register_safe_loaders() -> None:
    """Make MMEngine's ``CheckpointLoader`` read its own checkpoints weights-only.

    Local files and http(s) addresses are covered. Torch below 2.6 cannot be told of
    more classes: there checkpoints that hold weights alone are read, and those that
    MMEngine writes are refused.
    """
    for prefixes, loader in (
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
    ):
        CheckpointLoader.register_scheme(prefixes, _safely(loader), force=True)
