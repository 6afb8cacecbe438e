# SPDX-License-Identifier: Apache-2.0
"""Compare glibc's malloc with jemalloc for a training step on a CPU.

The step is that of a CPN at 256x192 with random targets. A process has one allocator.
Therefore each round starts one process per allocator. Needs libjemalloc (Debian:
libjemalloc2).

Example:
    python -m experiments.benchmarks.allocator --batch 32 --rounds 3
"""

import argparse
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from statistics import median

import torch
from mmengine.registry import init_default_scope
from rich.progress import track
from rich.table import Table

from experiments.benchmarks.side_by_side import measure
from experiments.benchmarks.workloads import CONFIGS, build, step, target
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

CONFIG = CONFIGS / 'cpn/coco/td-hm_cpn-efficientnet-lite0_8xb32-160e_coco-256x192.py'
# Keeps freed memory for the next step, which needs the same amount, in large pages.
KEEP_MEMORY = 'dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--config', type=Path, default=CONFIG,
        help='config of a CPN with 17 keypoints at 256x192 '
        '(default: CPN on EfficientNet-Lite0)',
    )  # fmt: skip
    parser.add_argument('--batch', type=at_least(1), default=32, help='default: 32')
    parser.add_argument('--rounds', type=at_least(1), default=3, help='default: 3')
    parser.add_argument(
        '--this-process', action='store_true',
        help='only print the median time of a step with the allocator of this process',
    )  # fmt: skip
    return parser.parse_args()


def time_steps(config: Path, batch: int) -> float:
    """Milliseconds of a training step, median of five."""
    init_default_scope('mmpose')
    model = build(config, 'cpu').to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 256, 192)
    images = images.contiguous(memory_format=torch.channels_last)
    samples = [target('cpu') for _ in range(batch)]
    return median(measure({'step': step(model, images, samples)}, rounds=5)['step'])


def main() -> int:
    args = parse_args()
    if args.this_process:
        print(time_steps(args.config, args.batch))
        return 0
    library = find_library('jemalloc')
    if library is None:
        print('allocator.py: error: libjemalloc is not installed', file=sys.stderr)
        return 2
    environments = {
        'glibc': dict(LD_PRELOAD='', MALLOC_CONF=''),
        'jemalloc': dict(LD_PRELOAD=library, MALLOC_CONF=''),
        'jemalloc, memory kept': dict(LD_PRELOAD=library, MALLOC_CONF=KEEP_MEMORY),
    }
    command = [sys.executable, *sys.argv, '--this-process']
    times: dict[str, list[float]] = {name: [] for name in environments}
    for _ in track(range(args.rounds), 'timing'):
        for name, variables in environments.items():
            child = subprocess.run(
                command, env=os.environ | variables, check=True,
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            times[name].append(float(child.stdout.split()[-1]))

    table = Table(
        'allocator', 'ms per training step', 'time relative to glibc',
        title=f'{args.batch} crops of 256x192, CPU, {torch.get_num_threads()} threads',
    )  # fmt: skip
    for name, values in times.items():
        ratio = median(values) / median(times['glibc'])
        each = ', '.join(f'{value:.0f}' for value in values)
        table.add_row(name, f'{median(values):.0f} ({each})', f'{ratio:.2f}')
    table_console().print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
