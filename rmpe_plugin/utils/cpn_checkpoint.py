# SPDX-License-Identifier: Apache-2.0
"""Convert state dicts of pytorch-cpn (github.com/GengDavid/pytorch-cpn)."""

import re
from collections.abc import Iterator

import torch

# Layers with one channel for each keypoint.
_PER_KEYPOINT = re.compile(
    r'head\.(global_net\.predictors\.\d|refine_net)\.(conv|norm)\.'
)


def convert_cpn_state_dict(
    state_dict: dict, num_keypoints: int = 17
) -> tuple[dict, list[str]]:
    """Convert a state dict of pytorch-cpn.

    Args:
        state_dict (dict): Its state dict, with or without ``module.`` prefixes.
        num_keypoints (int): Number of keypoints K of the target model. Layers for
            another number are dropped. Defaults to 17.

    Returns:
        tuple[dict, list[str]]: The converted state dict and the names of the dropped
        parameters.

    Raises:
        ValueError: If a name is not a parameter of pytorch-cpn.
    """
    converted, dropped = {}, []
    for key, value in state_dict.items():
        name = convert_cpn_key(key.removeprefix('module.'))
        per_keypoint = _PER_KEYPOINT.match(name) and value.ndim > 0
        if per_keypoint and len(value) != num_keypoints:
            dropped.append(name)
            continue
        converted[name] = value
        # torch < 0.4.1 did not store num_batches_tracked.
        if name.endswith('.running_var'):
            counter = name.replace('running_var', 'num_batches_tracked')
            converted.setdefault(counter, torch.tensor(0))
    return converted, dropped


def convert_cpn_key(key: str) -> str:
    """Convert the name of a parameter of pytorch-cpn.

    Args:
        key (str): Name in pytorch-cpn, without ``module.``.

    Returns:
        str: Name in a ``TopdownPoseEstimator`` with a ``CPNHead``.

    Raises:
        ValueError: If pytorch-cpn has no such parameter.
    """
    for source, target in _prefixes():
        if key.startswith(f'{source}.'):
            return target + key.removeprefix(source)
    raise ValueError(f'{key!r} is not a parameter of pytorch-cpn')


def _prefixes() -> Iterator[tuple[str, str]]:
    """Name of each module in pytorch-cpn and in this package."""
    yield 'resnet', 'backbone'
    head = 'head.global_net'
    for source in range(4):
        # pytorch-cpn numbers the levels coarse to fine, this package fine to coarse.
        target = 3 - source
        predictor = f'{head}.predictors.{target}'
        yield f'global_net.laterals.{source}.0', f'{head}.laterals.{target}.conv'
        yield f'global_net.laterals.{source}.1', f'{head}.laterals.{target}.bn'
        yield f'global_net.predict.{source}.0', f'{predictor}.neck.conv'
        yield f'global_net.predict.{source}.1', f'{predictor}.neck.bn'
        yield f'global_net.predict.{source}.3', f'{predictor}.conv'
        yield f'global_net.predict.{source}.5', f'{predictor}.norm'
        yield f'refine_net.cascade.{source}', f'head.refine_net.cascade.{target}'
    for source in range(3):
        target = 2 - source
        yield f'global_net.upsamples.{source}.1', f'{head}.merges.{target}.conv'
        yield f'global_net.upsamples.{source}.2', f'{head}.merges.{target}.bn'
    yield 'refine_net.final_predict.0', 'head.refine_net.fuse'
    yield 'refine_net.final_predict.1', 'head.refine_net.conv'
    yield 'refine_net.final_predict.2', 'head.refine_net.norm'
