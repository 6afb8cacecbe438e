# SPDX-License-Identifier: Apache-2.0
"""ONNX files of trained models, each exported once and kept in the user's cache."""

import hashlib
import json
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from rmpe_plugin.deploy import PoseMetadata, write_onnx
from rmpe_plugin.utils.files import file_digest
from rmpe_plugin.utils.packages import find_in_package

PACKAGE = Path(__file__).parents[1]
#: Packages whose code is in an exported file.
EXPORTED_CODE = ('codecs', 'deploy', 'inference', 'models', 'ops')


def cache_folder() -> Path:
    """Folder of the cached files.

    Returns:
        Path: The value of the environment variable ``RMPE_CACHE``, or
        ``~/.cache/rmpe_plugin`` if it is not set. The folder need not exist.
    """
    return Path(os.environ.get('RMPE_CACHE') or Path.home() / '.cache' / 'rmpe_plugin')


def cached_onnx(config: Config, weights: str) -> Path:
    """Export a pose estimator, or find the file of an earlier export.

    Args:
        config (Config): Its config.
        weights (str): Its weights: a file, a URL, or ``package://NAME/FILE``.

    Returns:
        Path: ONNX file in :func:`cache_folder`, in the standard format of
        ``rmpe export``. The name has a digest of the config, the weights and the code
        of this package: after a change of one of them the model is exported again.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
        OSError: If a file cannot be read or written.
        ValueError: If the model cannot be exported.
    """
    digest = _digest(config, weights)
    path = cache_folder() / f'{Path(weights).stem}-{digest}.onnx'
    if path.exists():
        return path
    print_log(f'{weights} is exported once, to {path}', logger='current')
    return _export(config, weights, path)


def _export(config: Config, weights: str, path: Path) -> Path:
    """Export a pose estimator. This imports all models of MMPose."""
    from rmpe_plugin.deploy import PoseFormat
    from rmpe_plugin.inference import PoseGraph

    from .torch_pose_estimator import load_pose_estimator

    model = load_pose_estimator(config, weights, 'cpu')
    metadata = PoseMetadata.of_model(model, config, 'bgr')
    form = PoseFormat(PoseGraph(model).eval(), metadata)
    # Other processes may export the same model.
    own = path.with_name(f'{path.stem}.{os.getpid()}.onnx')
    properties = metadata.to_properties()
    write_onnx(form.graph, form.examples(), form.outputs, own, properties)
    return own.replace(path)


def _digest(config: Config, weights: str) -> str:
    """Digest of all that an exported file depends on."""
    settings = json.dumps(config.to_dict(), sort_keys=True, default=repr)
    digest = hashlib.sha256((settings + weights).encode())
    # Another version of a package may have other weights under the same name.
    if weights.startswith('package://'):
        digest.update(file_digest(find_in_package(weights)).encode())
    for package in EXPORTED_CODE:
        for path in sorted((PACKAGE / package).rglob('*.py')):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
