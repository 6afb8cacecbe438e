# SPDX-License-Identifier: Apache-2.0
r"""Write the weights of a checkpoint in float16, without the state of the training.

The running statistics of batch normalisation stay in float32. Of the meta information
only the description of the keypoints is kept. With --other, the weights are an average
of two trainings that started from the same weights (Wortsman et al., Robust fine-tuning
of zero-shot models, CVPR 2022). Prints the size and the SHA-256 checksum.

Example:
    python -m experiments.publish_weights \
        work_dirs/td-hm_cpn-mobilenetv2_photo-256x192/epoch_3.pth photo.pth \
        --other work_dirs/td-hm_cpn-mobilenetv2_unfrozen_photo-256x192/epoch_4.pth \
        --share 0.25
"""

import argparse
import hashlib
import sys
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from rmpe_plugin.utils.arguments import share
from rmpe_plugin.utils.checkpoint import read_weights
from rmpe_plugin.utils.files import atomic_write

STATISTICS = ('running_mean', 'running_var')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument('--other', type=Path, help='checkpoint to average with')
    parser.add_argument('--share', type=share, help='share of --other in the average')
    args = parser.parse_args()
    if (args.other is None) != (args.share is None):
        parser.error('--other and --share must be given together')
    return args


def average(
    state: dict[str, Tensor], other: dict[str, Tensor], fraction: float
) -> dict[str, Tensor]:
    """Average the weights of two trainings of one model.

    Args:
        state (dict[str, Tensor]): Weights by name.
        other (dict[str, Tensor]): Weights of the other training.
        fraction (float): Share of ``other``. Counters are those of ``state``.

    Returns:
        dict[str, Tensor]: The averages.

    Raises:
        ValueError: If names or shapes differ.
    """
    shapes, others = ({k: v.shape for k, v in s.items()} for s in (state, other))
    if shapes != others:
        names = sorted({name for name, _ in shapes.items() ^ others.items()})
        raise ValueError(f'--other has another model, {names[0]} differs')
    return {
        name: torch.lerp(value, other[name], fraction)
        if value.is_floating_point()
        else value
        for name, value in state.items()
    }


def load(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Weights of a checkpoint, and its description of the keypoints.

    Raises:
        ValueError: If it is not the checkpoint of a training.
    """
    state, meta = read_weights(path)
    if 'dataset_meta' not in meta:
        raise ValueError(
            f"{path} is not a checkpoint of a training, it lacks 'meta' with "
            "'dataset_meta'"
        )
    return state, meta['dataset_meta']


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
        state, meta = load(args.checkpoint)
        if args.other is not None:
            state = average(state, load(args.other)[0], args.share)
        state = {name: to_half(name, value) for name, value in state.items()}
        with atomic_write(args.out, 'wb') as file:
            torch.save(dict(meta=dict(dataset_meta=meta), state_dict=state), file)
    except (OSError, ValueError, UnpicklingError) as error:
        print(f'publish_weights.py: error: {error}', file=sys.stderr)
        return 2
    content = args.out.read_bytes()
    print(f'{args.out}: {len(content) / 1e6:.1f} MB')
    print(f'sha256: {hashlib.sha256(content).hexdigest()}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
