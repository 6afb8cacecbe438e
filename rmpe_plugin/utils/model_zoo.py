# SPDX-License-Identifier: Apache-2.0
"""Models by name: those of this package, of MMPose's index and of MMDetection's."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mmengine.fileio import load

from rmpe_plugin.utils.configs import PACKAGE, find_config
from rmpe_plugin.utils.files import find_shipped
from rmpe_plugin.utils.packages import find_in_package

# Packages whose indices have pose estimators, and those that have detectors.
PACKAGES = dict(pose=(PACKAGE, 'mmpose'), detector=(PACKAGE, 'mmdet'))
KINDS = dict(pose='top-down pose estimator', detector='object detector')

# Folders of MMPose's configs whose models need no boxes.
_BOTTOM_UP = {
    'associative_embedding', 'cid', 'dekr', 'edpose', 'rtmo', 'yoloxpose',
}  # fmt: skip

# Aliases that MMPose's index lacks. Of RTMPose for 17 keypoints, it has rtmpose-l only.
_ALIASES = {f'rtmpose-{x}_8xb256-420e_body8-256x192': f'rtmpose-{x}' for x in 'tsm'}

# Average precision in the indices; a fraction in MMPose's, in percent in MMDetection's.
_METRICS = ('AP', 'Whole AP', 'box AP')


class ZooModel(NamedTuple):
    """A model that can be loaded.

    Attributes:
        config (Path): Its config, or an ONNX file.
        weights (str | Path, optional): Its checkpoint, as MMEngine loads it. ``None``
            with an ONNX file, and with a config file whose checkpoint is not given.
    """

    config: Path
    weights: str | Path | None


class ZooDetector(NamedTuple):
    """A detector that can be loaded.

    Attributes:
        config (Path): See :class:`ZooModel`.
        weights (str | Path, optional): See :class:`ZooModel`.
        labels (tuple[int, ...], optional): Indices of the classes that are detected;
            ``None`` is the class ``person``.
    """

    config: Path
    weights: str | Path | None
    labels: tuple[int, ...] | None


class ListedModel(NamedTuple):
    """A model in an index.

    Attributes:
        kind (str, optional): ``'pose'`` or ``'detector'``; ``None`` for models that
            this package cannot use, such as bottom-up pose estimators.
        names (tuple[str, ...]): Its aliases and its name.
        dataset (str): The data set of its AP, or the first that it was tested on.
        ap (float, optional): Average precision in percent, as in the index.
        config (Path, optional): Its config; ``None`` if the weights are an ONNX file.
        weights (str, optional): Address of its weights, or of an ONNX file.
    """

    kind: str | None
    names: tuple[str, ...]
    dataset: str
    ap: float | None
    config: Path | None
    weights: str | None


def list_models() -> list[ListedModel]:
    """List the trained models that have names.

    Returns:
        list[ListedModel]: First those in this package, then MMPose's top-down pose
        estimators, MMPose's default detectors and MMDetection's object detectors.
    """
    indexed = (*_index(PACKAGE), *_index('mmpose'), *_defaults(), *_index('mmdet'))
    return [
        model
        for model in indexed
        if model.kind and model.weights and (not model.config or model.config.is_file())
    ]


def included_models(kind: str) -> list[str]:
    """List the models whose weights are in this package.

    Args:
        kind (str): ``'pose'`` or ``'detector'``.

    Returns:
        list[str]: A name of each, which needs no download.

    Example:
        >>> from rmpe_plugin.apis import included_models
        >>> 'photo' in included_models('pose')
        True
    """
    weights = f'package://{PACKAGE}/'
    return [
        model.names[0]
        for model in _index(PACKAGE)
        if model.kind == kind and str(model.weights).startswith(weights)
    ]


def find_model(name: str | Path, checkpoint: str | Path | None = None) -> ZooModel:
    """Find a top-down pose estimator by its name.

    Args:
        name (str | Path): Alias or name in the index of this package or of MMPose, such
            as ``'photo'`` or ``'human'``; the name of a config in a package, such as
            ``'mmpose::body_2d_keypoint/rtmpose/coco/NAME.py'``; a config file; or an
            ONNX file.
        checkpoint (str | Path, optional): Weights in place of those in the index.
            Defaults to ``None``. A config file has then no weights.

    Returns:
        ZooModel: Config and weights.

    Raises:
        FileNotFoundError: If the file does not exist.
        ModuleNotFoundError: If the package is not installed.
        ValueError: If no model has this name, it is no top-down pose estimator, or the
            index has no weights of it.

    Example:
        >>> from rmpe_plugin.apis import find_model
        >>> find_model('photo').weights
        'package://rmpe_plugin/weights/cpn_mobilenetv2_photo-256x192.pth'
    """
    return _find(name, checkpoint, 'pose')


def find_detector(
    name: str | Path, checkpoint: str | Path | None = None
) -> ZooDetector:
    """Find a detector by its name.

    Args:
        name (str | Path): Name in MMPose's table of default detectors, such as
            ``'human'``, ``'face'`` or ``'animal'``; otherwise as for
            :func:`find_model`, with the index of MMDetection.
        checkpoint (str | Path, optional): As for :func:`find_model`.

    Returns:
        ZooDetector: Config, weights and labels.

    Raises:
        FileNotFoundError: See :func:`find_model`.
        ModuleNotFoundError: See :func:`find_model`.
        ValueError: See :func:`find_model`.
    """
    # Those of this package need no table of MMPose.
    known = Path(name).is_file() or _in_index(PACKAGE, str(name))
    default = None if known else _default_detectors().get(str(name).lower())
    if default is None:
        return ZooDetector(*_find(name, checkpoint, 'detector'), None)
    weights = checkpoint or default['weights']
    found = _find(default['model'], weights, 'detector')
    return ZooDetector(*found, tuple(default['cat_ids']))


def is_model_name(word: str) -> bool:
    """Whether a pose estimator has this name in an index, see :func:`find_model`."""
    return _named(word, 'pose') is not None


def find_weights(name: str) -> str:
    """Find the weights of a top-down pose estimator by its name.

    Args:
        name (str): Name, see :func:`find_model`, or a file or address.

    Returns:
        str: File or address of the weights; ``name`` itself if no model has this name.

    Raises:
        ValueError: If the model of this name is no top-down pose estimator.
    """
    is_address = '://' in name or Path(name).is_file()
    if is_address or not ('::' in name or is_model_name(name)):
        return name
    return str(find_model(name).weights)


def _find(name: str | Path, checkpoint: str | Path | None, kind: str) -> ZooModel:
    """Find a model by a file, the name of its config, or its name in an index."""
    if Path(name).is_file():
        return ZooModel(Path(name), checkpoint)
    name = str(name)
    model = _of_config(name) if '::' in name else _named(name, kind)
    if model is None:
        raise _unknown(name, kind)
    if not (checkpoint or model.weights):
        raise ValueError(f'the index has no weights of {name}: give its checkpoint')
    if not checkpoint and model.kind != kind:
        raise ValueError(
            f'{name} is no {KINDS[kind]}; rmpe models lists those that can be used'
        )
    if model.config is None:
        return ZooModel(find_in_package(str(model.weights)), checkpoint)
    return ZooModel(model.config, checkpoint or model.weights)


def _of_config(name: str) -> ListedModel:
    """The model of a config, by the name of the config; without weights if unknown."""
    config = find_config(name)
    found = (
        model
        for model in _index(name.partition('::')[0])
        if model.config and model.config.resolve() == config.resolve()
    )
    unknown = ListedModel(None, (), '', None, config, None)
    return next(found, unknown)


def _named(name: str, kind: str) -> ListedModel | None:
    """The first model of a name in the indices that have such models."""
    found = (_in_index(package, name) for package in PACKAGES[kind])
    return next(filter(None, found), None)


def _in_index(package: str, name: str) -> ListedModel | None:
    """The first model of a name in the index of a package."""
    named = (x for x in _index(package) if name.lower() in map(str.lower, x.names))
    return next(named, None)


def _unknown(name: str, kind: str) -> Exception:
    """The error for an unknown name."""
    if Path(name).suffix in ('.py', '.onnx') or '/' in name:
        return FileNotFoundError(f'{name} does not exist')
    known = [x for package in PACKAGES[kind] for m in _index(package) for x in m.names]
    if kind == 'detector':
        known += _default_detectors()
    similar = get_close_matches(name, known) or ['none']
    return ValueError(
        f'no {KINDS[kind]} has the name {name!r}; similar names: {", ".join(similar)}; '
        'rmpe models lists all'
    )


def _default_detectors() -> dict[str, dict]:
    """MMPose's table of default detectors. This imports all models of MMPose."""
    from mmpose.apis.inferencers.utils import default_det_models

    return default_det_models


@cache
def _index(package: str) -> tuple[ListedModel, ...]:
    """The models in the index of a package, as MMEngine finds it."""
    if package == PACKAGE:
        folder = find_shipped('model-index.yml').parent
    else:
        # Imports what trains models.
        from mmengine.infer import BaseInferencer

        folder = Path(BaseInferencer._get_repo_or_mim_dir(package))
    files = load(folder / 'model-index.yml')['Import']
    entries = (entry for file in files for entry in load(folder / file)['Models'])
    return tuple(_listed(entry, folder) for entry in entries)


def _listed(entry: dict, folder: Path) -> ListedModel:
    """A model of an entry in a metafile."""
    name = entry['Name']
    aliases = _listify(entry.get('Alias')) + _listify(_ALIASES.get(name))
    dataset, ap = _dataset_and_ap(entry.get('Results', []))
    return ListedModel(
        _kind(entry),
        (*aliases, name),
        dataset,
        ap,
        folder / entry['Config'] if 'Config' in entry else None,
        # As MMEngine, which takes the first of several.
        next(iter(_listify(entry.get('Weights'))), None),
    )


def _listify(value: list | str | None) -> list:
    """A list of the values of an entry, which has a list only of several."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _dataset_and_ap(results: list[dict]) -> tuple[str, float | None]:
    """The data set of the first AP in the results of an entry, and this AP."""
    for result in results:
        metrics = result.get('Metrics', {})
        for key in _METRICS:
            if key in metrics:
                ap = float(metrics[key])
                return result['Dataset'], ap if ap > 1 else 100 * ap
    return (results[0]['Dataset'] if results else ''), None


def _kind(entry: dict) -> str | None:
    """Kind of the model of an entry, see :class:`ListedModel`."""
    tasks = {result['Task'] for result in entry.get('Results', [])}
    if 'Object Detection' in tasks:
        return 'detector'
    bottom_up = _BOTTOM_UP & {*Path(entry.get('Config', '')).parts}
    is_2d = any(task.endswith('2D Keypoint') for task in tasks)
    return 'pose' if is_2d and not bottom_up else None


def _defaults() -> Iterator[ListedModel]:
    """MMPose's default detectors; those that are equal have several names."""
    names: dict[int, list[str]] = {}
    for name, model in _default_detectors().items():
        names.setdefault(id(model), []).append(name)
    for same in names.values():
        found = find_detector(same[0])
        weights = str(found.weights)
        yield ListedModel('detector', (*same,), '', None, found.config, weights)
