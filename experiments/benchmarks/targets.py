# SPDX-License-Identifier: Apache-2.0
"""Compare the data time of a training step with separable targets and with heatmaps.

An epoch of stage 2 of the quickstart's SSTN is loaded, with the targets of the main
loss and of the parallel SPPE, and collated. The size of the targets of one sample is
printed.

Example:
    python -m experiments.benchmarks.targets --data data/synthetic_people --workers 2
"""

import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample
from torch.utils.data import DataLoader, Dataset, Subset

from experiments.benchmarks.side_by_side import compare
from experiments.benchmarks.workloads import SSTN
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--data', type=Path, default=Path('data/synthetic_people'),
        help='synthetic people (default: data/synthetic_people)',
    )  # fmt: skip
    parser.add_argument('--batch', type=at_least(1), default=32, help='default: 32')
    parser.add_argument(
        '--steps', type=at_least(1), default=8, help='batches (default: 8)'
    )
    parser.add_argument(
        '--workers',
        type=at_least(0),
        default=2,
        help='data loading processes (default: 2)',
    )
    parser.add_argument('--rounds', type=at_least(1), default=5, help='default: 5')
    return parser.parse_args()


def build_dataset(data: Path, separable: bool) -> Dataset:
    """Build the training data set of stage 2 with one form of the targets."""
    config = Config.fromfile(SSTN)
    settings = config.train_dataloader.dataset
    settings.update(
        data_root=str(data),
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'),
    )
    for step in settings.pipeline:
        for codec in step.get('encoder', ()):
            codec.separable = separable
    return DATASETS.build(settings)


def target_bytes(sample: PoseDataSample) -> int:
    """Size of the targets of a sample in bytes."""
    tensors = []
    for part in (sample, sample.centred):
        tensors += part.gt_instance_labels.values()
        if 'gt_fields' in part:
            tensors += [pixels.heatmaps for pixels in part.gt_fields]
    return sum(tensor.nbytes for tensor in tensors)


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    functions = {}
    for name, separable in (('heatmaps', False), ('separable', True)):
        dataset = build_dataset(args.data, separable)
        size = target_bytes(dataset[0]['data_samples']) / 1024
        table_console().print(f'{name}: {size:.0f} KiB of targets per sample')
        indices = [i % len(dataset) for i in range(args.batch * args.steps)]
        loader = DataLoader(
            Subset(dataset, indices),
            args.batch,
            num_workers=args.workers,
            collate_fn=pseudo_collate,
        )
        functions[name] = lambda loader=loader: [None for _ in loader]
    title = f'loading {args.steps} batches of {args.batch}, {args.workers} workers'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
