# SPDX-License-Identifier: Apache-2.0
r"""Write the weights of a checkpoint in float16, without the state of the training.

The running statistics of batch normalisation stay in float32. Of the meta information
only the description of the keypoints is kept. Prints the size and the SHA-256 checksum.

Example:
    python -m experiments.publish_weights \
        work_dirs/td-hm_cpn-mobilenetv2_photo-256x192/epoch_3.pth photo.pth
"""

import argparse
import hashlib
import sys
from pathlib import Path
from pickle import UnpicklingError

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

import rmpe_plugin  # noqa: F401  loads weights only
from rmpe_plugin.utils.files import atomic_write

STATISTICS = ('running_mean', 'running_var')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training')
    parser.add_argument('out', type=Path, help='file to write')
    return parser.parse_args()


def to_half(name: str, value: Tensor) -> Tensor:
    """Convert a weight to float16.

    Raises:
        ValueError: If a value is outside the range of float16.
    """
    if not value.is_floating_point() or name.endswith(STATISTICS):
        return value
    half = value.half()
    if not torch.isfinite(half).all():
        raise ValueError(f'{name} has values outside the range of float16')
    return half


def main() -> int:
    args = parse_args()
    try:
        checkpoint = CheckpointLoader.load_checkpoint(str(args.checkpoint), 'cpu')
        meta = {'dataset_meta': checkpoint['meta']['dataset_meta']}
        state = {n: to_half(n, v) for n, v in checkpoint['state_dict'].items()}
        with atomic_write(args.out, 'wb') as file:
            torch.save(dict(meta=meta, state_dict=state), file)
    except KeyError as error:
        print(
            f'publish_weights.py: error: {args.checkpoint} is not a checkpoint of a '
            f'training, it lacks {error}',
            file=sys.stderr,
        )
        return 2
    except (OSError, ValueError, UnpicklingError) as error:
        print(f'publish_weights.py: error: {error}', file=sys.stderr)
        return 2
    content = args.out.read_bytes()
    print(f'{args.out}: {len(content) / 1e6:.1f} MB')
    print(f'sha256: {hashlib.sha256(content).hexdigest()}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
