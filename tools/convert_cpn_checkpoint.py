# SPDX-License-Identifier: Apache-2.0
"""Convert a pytorch-cpn checkpoint (CPN50 or CPN101, any input size).

The result loads into the config of the same backbone with no missing and no unexpected
key. Crop, normalisation and decoding of that config are pytorch-cpn's as well.

Example:
    python tools/convert_cpn_checkpoint.py CPN50_256x192.pth.tar cpn50_256x192.pth
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from rich import print

# Layers whose width is the number of keypoints.
_PER_KEYPOINT = re.compile(
    r'head\.(global_net\.predictors\.\d|refine_net)\.(conv|norm)\.'
)


def _prefixes() -> Iterator[tuple[str, str]]:
    """Every module's name there and here."""
    yield 'resnet', 'backbone'
    head = 'head.global_net'
    for there in range(4):
        # Levels are numbered coarse to fine there and fine to coarse here.
        here = 3 - there
        yield f'global_net.laterals.{there}.0', f'{head}.laterals.{here}.conv'
        yield f'global_net.laterals.{there}.1', f'{head}.laterals.{here}.bn'
        yield f'global_net.predict.{there}.0', f'{head}.predictors.{here}.neck.conv'
        yield f'global_net.predict.{there}.1', f'{head}.predictors.{here}.neck.bn'
        yield f'global_net.predict.{there}.3', f'{head}.predictors.{here}.conv'
        yield f'global_net.predict.{there}.5', f'{head}.predictors.{here}.norm'
        yield f'refine_net.cascade.{there}', f'head.refine_net.cascade.{here}'
    for there in range(3):
        here = 2 - there
        yield f'global_net.upsamples.{there}.1', f'{head}.merges.{here}.conv'
        yield f'global_net.upsamples.{there}.2', f'{head}.merges.{here}.bn'
    yield 'refine_net.final_predict.0', 'head.refine_net.fuse'
    yield 'refine_net.final_predict.1', 'head.refine_net.conv'
    yield 'refine_net.final_predict.2', 'head.refine_net.norm'


def convert_key(key: str) -> str:
    """Translate the name of one parameter of pytorch-cpn, without ``module.``.

    Args:
        key (str): Name there.

    Returns:
        str: Name in a :class:`TopdownPoseEstimator` with a ``CPNHead``.

    Raises:
        ValueError: If pytorch-cpn has no such parameter.
    """
    for there, here in _prefixes():
        if key.startswith(f'{there}.'):
            return here + key.removeprefix(there)
    raise ValueError(f'{key!r} is not a parameter of pytorch-cpn')


def convert_state_dict(state: dict, num_keypoints: int = 17) -> tuple[dict, list[str]]:
    """Translate a state dict of pytorch-cpn.

    Args:
        state (dict): Its state dict, with or without ``module.`` before the names.
        num_keypoints (int): K of the model to load into. Layers of another K are left
            out. Defaults to 17.

    Returns:
        tuple[dict, list[str]]: The translated state dict, and the names left out.
    """
    converted, dropped = {}, []
    for key, value in state.items():
        name = convert_key(key.removeprefix('module.'))
        per_keypoint = _PER_KEYPOINT.match(name) and value.ndim > 0
        if per_keypoint and len(value) != num_keypoints:
            dropped.append(name)
            continue
        converted[name] = value
        # torch < 0.4.1 did not count the batches of a batch norm.
        if name.endswith('.running_var'):
            counter = name.replace('running_var', 'num_batches_tracked')
            converted.setdefault(counter, torch.tensor(0))
    return converted, dropped


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', type=Path, help='checkpoint of pytorch-cpn')
    parser.add_argument('dst', type=Path, help='where to write the converted one')
    parser.add_argument(
        '--num-keypoints',
        type=int,
        default=17,
        help='K of the model to load into; layers of another K are left out',
    )
    args = parser.parse_args()
    if not args.src.is_file():
        parser.error(f'{args.src} is not a file')
    return args


def main() -> None:
    args = parse_args()
    checkpoint = torch.load(args.src, map_location='cpu', weights_only=True)
    state = checkpoint.get('state_dict', checkpoint)
    converted, dropped = convert_state_dict(state, args.num_keypoints)
    torch.save(dict(meta=dict(source='pytorch-cpn'), state_dict=converted), args.dst)
    print(f'{args.dst}: {len(converted)} tensors from the {len(state)} of {args.src}')
    if dropped:
        print(
            f'Left out, as they are not for {args.num_keypoints} keypoints; train them '
            'anew:'
        )
        print('\n'.join(f'  {name}' for name in dropped))


if __name__ == '__main__':
    main()
