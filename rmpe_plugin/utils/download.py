# SPDX-License-Identifier: Apache-2.0
"""Download weights into torch's cache."""

import re
from http.client import HTTPException
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .files import file_digest

# Seconds without an answer, after which a download fails.
TIMEOUT = 30

# OpenMMLab's file names end with the first digits of the SHA-256: NAME-HASH.pth,
# NAME_HASH.pth or NAME-HASH_DATE.pth. A date alone is no hash, nor is a number after
# an underscore, as in iter_10000000.pth.
_DATE = r'20\d\d[01]\d[0-3]\d'
_HASH = re.compile(
    rf'(?:-|_(?=\d*[a-f]))(?!{_DATE}\.)([0-9a-f]{{8,64}})(?:[-_]{_DATE})?\.\w+$'
)


class DownloadError(OSError):
    """A file that could not be downloaded, or is not what its name says."""


def cached_file(url: str) -> Path:
    """Path of a downloaded file in torch's cache, whether or not it is there.

    Args:
        url (str): Its address.

    Returns:
        Path: The file in ``$TORCH_HOME/hub/checkpoints``, as of torch and MMEngine.
    """
    return Path(torch.hub.get_dir(), 'checkpoints', Path(urlparse(url).path).name)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint from the web, or from torch's cache if it is there.

    A file gets into the cache only if it is complete, has the hash in its name, and can
    be loaded. Of several processes, one downloads it.

    Args:
        filename (str): Address, ``http://`` or ``https://``.
        map_location (Any): Device, as for ``torch.load``. Defaults to ``None``.

    Returns:
        Any: Content of the checkpoint.

    Raises:
        DownloadError: If the file cannot be downloaded, is incomplete, is HTML, or has
            another hash than its name says.
    """
    file = cached_file(filename)
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{file}.lock'):
            if not file.is_file():
                _fetch(filename, file)
    # The loader of files names the file in its errors.
    # Its import imports this module, see rmpe_plugin.utils.lazy.import_after.
    from mmengine.runner.checkpoint import CheckpointLoader

    return CheckpointLoader.load_checkpoint(str(file), map_location)


def _fetch(url: str, file: Path) -> None:
    """Download a checkpoint and move it into the cache if it is one."""
    with TemporaryDirectory(prefix='download-', dir=file.parent) as folder:
        part = Path(folder, file.name)
        try:
            size = _download(url, part)
            _check_content(part, size)
        except (OSError, HTTPException) as error:
            raise DownloadError(_explain(url, file, error)) from error
        # A server that names no size can send half a file.
        torch.load(part, map_location='cpu', weights_only=True)
        part.replace(file)


def _download(url: str, part: Path) -> int | None:
    """Download a file with a progress bar; the size that the server named."""
    request = Request(url, headers={'User-Agent': 'rmpe_plugin'})
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with (
        urlopen(request, timeout=TIMEOUT) as response,
        part.open('wb') as file,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        size = response.length
        copyfileobj(
            progress.wrap_file(response, size or 0, description=part.name), file
        )
    return size


def _check_content(part: Path, size: int | None) -> None:
    """Raise unless a file is complete and has the hash in its name."""
    if size is not None and part.stat().st_size != size:
        raise DownloadError(
            f'it is incomplete, got {part.stat().st_size:,} of {size:,} bytes'
        )
    with part.open('rb') as file:
        start = file.read(80).lstrip()
    if start.startswith(b'<'):
        raise DownloadError(f'it is HTML and no checkpoint, it starts with {start!r}')
    expected, digest = _HASH.search(part.name), file_digest(part)
    if expected and not digest.startswith(expected[1]):
        raise DownloadError(
            f'its SHA-256 must start with {expected[1]}, as in its name, got {digest}'
        )


def _explain(url: str, file: Path, error: Exception) -> str:
    """Message of a failed download, and what works without it."""
    return (
        f'{url} was not downloaded: {error}. A copy of the file is found at {file}. '
        "Without a download: the model 'photo', and what 'rmpe models package' (in the "
        "package) and 'rmpe models cache' (downloaded before) list"
    )
