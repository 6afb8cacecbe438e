# SPDX-License-Identifier: Apache-2.0
"""Convert a pytorch-cpn checkpoint (CPN50 or CPN101, any input size).

The result loads into the config of the same backbone with no missing and no unexpected
key. Crop, normalisation and decoding of that config are pytorch-cpn's as well.

Example:
    python tools/convert_cpn_checkpoint.py CPN50_256x192.pth.tar cpn50_256x192.pth
"""

import argparse
import re
from pathlib import Path

import torch
from rich import print

# Levels are numbered coarse to fine there and fine to coarse here, four of them, with
# three merges in between.
_RULES = [
    (r'resnet\.(?!fc\.)(.+)', r'backbone.\1'),
    (r'global_net\.laterals\.(\d)\.0\.(.+)', r'global_net.laterals.{3}.conv.\2'),
    (r'global_net\.laterals\.(\d)\.1\.(.+)', r'global_net.laterals.{3}.bn.\2'),
    (r'global_net\.upsamples\.(\d)\.1\.(.+)', r'global_net.merges.{2}.conv.\2'),
    (r'global_net\.upsamples\.(\d)\.2\.(.+)', r'global_net.merges.{2}.bn.\2'),
    (r'global_net\.predict\.(\d)\.0\.(.+)', r'global_net.predictors.{3}.neck.conv.\2'),
    (r'global_net\.predict\.(\d)\.1\.(.+)', r'global_net.predictors.{3}.neck.bn.\2'),
    (r'global_net\.predict\.(\d)\.3\.(.+)', r'global_net.predictors.{3}.conv.\2'),
    (r'global_net\.predict\.(\d)\.5\.(.+)', r'global_net.predictors.{3}.norm.\2'),
    (r'refine_net\.cascade\.(\d)\.(.+)', r'refine_net.cascade.{3}.\2'),
    (r'refine_net\.final_predict\.0\.(.+)', r'refine_net.fuse.\1'),
    (r'refine_net\.final_predict\.1\.(.+)', r'refine_net.conv.\1'),
    (r'refine_net\.final_predict\.2\.(.+)', r'refine_net.norm.\1'),
]
_PER_KEYPOINT = re.compile(
    r'head\.(global_net\.predictors\.\d|refine_net)\.(conv|norm)\.'
)


def convert_key(key: str) -> str:
    """Translate the name of one parameter of pytorch-cpn, without ``module.``.

    Args:
        key (str): Name there.

    Returns:
        str: Name in a :class:`TopdownPoseEstimator` with a ``CPNHead``.

    Raises:
        ValueError: If pytorch-cpn has no such parameter.
    """
    for pattern, name in _RULES:
        match = re.fullmatch(pattern, key)
        if match is None:
            continue
        for last in (2, 3):
            if f'{{{last}}}' in name:
                name = name.replace(f'{{{last}}}', str(last - int(match[1])))
        name = match.expand(name)
        return name if name.startswith('backbone.') else f'head.{name}'
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
