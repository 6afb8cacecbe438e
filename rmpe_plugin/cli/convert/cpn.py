# SPDX-License-Identifier: Apache-2.0
"""Convert a pytorch-cpn checkpoint (CPN50 or CPN101, any input size).

The result loads into the config with the same backbone without missing or unexpected
keys. That config also has the crop, normalisation and decoding of pytorch-cpn.

Example:
    rmpe convert cpn CPN50_256x192.pth.tar cpn50_256x192.pth
"""

import argparse
from pathlib import Path

import torch

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.utils.arguments import at_least, existing_file
from rmpe_plugin.utils.cpn_checkpoint import convert_cpn_state_dict
from rmpe_plugin.utils.files import atomic_write


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', type=existing_file, help='checkpoint of pytorch-cpn')
    parser.add_argument('dst', type=Path, help='converted checkpoint to write')
    parser.add_argument(
        '--num-keypoints',
        type=at_least(1),
        default=17,
        help='keypoints of the target model; layers for another number are dropped '
        '(default: %(default)s)',
    )
    return parser.parse_args()


@exit_status
def main() -> None:
    args = parse_args()
    checkpoint = torch.load(args.src, map_location='cpu', weights_only=True)
    state_dict = checkpoint.get('state_dict', checkpoint)
    try:
        converted, dropped = convert_cpn_state_dict(state_dict, args.num_keypoints)
    except ValueError as error:
        raise ValueError(f'{args.src}: {error}') from error
    with atomic_write(args.dst, 'wb') as file:
        torch.save(dict(meta=dict(source='pytorch-cpn'), state_dict=converted), file)
    print(
        f'{args.dst}: {len(converted)} tensors from the {len(state_dict)} of {args.src}'
    )
    if dropped:
        print(
            f'Dropped, because they are not for {args.num_keypoints} keypoints; they '
            'must be trained:'
        )
        print('\n'.join(f'  {name}' for name in dropped))
