# SPDX-License-Identifier: Apache-2.0
"""Trained models that are in this package, found by their alias in the metafiles."""

from pathlib import Path
from typing import NamedTuple

import yaml

from rmpe_plugin.utils.files import find_shipped


class ZooModel(NamedTuple):
    """A trained model.

    Attributes:
        config (Path): Its config.
        weights (str): Its checkpoint, as MMEngine loads it.
    """

    config: Path
    weights: str


def list_models() -> dict[str, ZooModel]:
    """List the trained models that this package contains.

    Returns:
        dict[str, ZooModel]: Config and weights of each model, by its ``Alias`` in a
        metafile.

    Raises:
        FileNotFoundError: If the package was installed without its metafiles.
    """
    root = find_shipped('model-index.yml').parent
    return {
        model['Alias']: ZooModel(root / model['Config'], model['Weights'])
        for metafile in _read(root / 'model-index.yml')['Import']
        for model in _read(root / metafile).get('Models', [])
        if 'Alias' in model and 'Weights' in model
    }


def find_model(alias: str) -> ZooModel:
    """Find a trained model that this package contains.

    Args:
        alias (str): Name of the model, see :func:`list_models`, such as ``'photo'``.

    Returns:
        ZooModel: Config and weights.

    Raises:
        FileNotFoundError: If the package was installed without its metafiles.
        ValueError: If no model has this name.

    Example:
        >>> from rmpe_plugin.apis import TorchPoseEstimator, find_model
        >>> model = TorchPoseEstimator(*find_model('photo')).model  # doctest: +SKIP
    """
    models = list_models()
    if alias not in models:
        raise ValueError(
            f'no trained model has the alias {alias!r}, the aliases are: '
            f'{", ".join(sorted(models))}'
        )
    return models[alias]


def _read(path: Path) -> dict:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text())
