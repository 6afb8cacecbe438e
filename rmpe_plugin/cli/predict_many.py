# SPDX-License-Identifier: Apache-2.0
r"""Predict poses in many images and videos, on several machines, into Parquet files.

Inputs are files, folders with their subfolders, quoted globs, addresses of these that
fsspec opens (s3://, gs://, https://), tar files, columns of Parquet files (--column),
or lists of files (.txt). The output folder gets one row for each person. A job that was
killed continues where it stopped when it is started again.

Ray runs one worker per GPU of this machine, or of a cluster (--address). Without Ray,
--shard INDEX/NUMBER processes every NUMBER-th input, for Slurm and torchrun. Inputs
that cannot be read are listed at the end, and the exit status is then 1.

Example:
    rmpe predict-many photographs/ 'videos/*.mp4' --out poses
    rmpe predict-many human s3://bucket/images --det human --out s3://bucket/poses \
        --address auto --workers 8
    rmpe predict-many photographs/ --out poses --shard $SLURM_PROCID/$SLURM_NTASKS
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._inference_arguments import (
    add_detector,
    add_inputs,
    add_settings,
    add_tiles,
    parse,
    settings,
)
from rmpe_plugin.jobs import (
    Engine,
    JobProgress,
    PoseJob,
    PoseModel,
    ProcessEngine,
    RayEngine,
)
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

# Number of failures that are listed at the end.
LISTED = 20


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='%(prog)s [MODEL [CHECKPOINT]] INPUT ... --out OUT [options]',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_job_arguments(parser)
    add_settings(parser)
    args = parse(parser, 'images, videos, folders or addresses')
    on_ray = (args.address, args.workers, args.gpus_per_worker)
    if args.shard and any(value is not None for value in on_ray):
        parser.error('--shard does not use Ray: no --address, --workers or GPUs')
    return args


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the inputs, the output and the workers."""
    add_inputs(parser, 'the inputs, see above')
    add_detector(parser)
    add_tiles(parser)
    parser.add_argument(
        '--out', required=True, help='output folder, or its address: s3://BUCKET/FOLDER'
    )
    parser.add_argument(
        '--column', help='column of Parquet inputs: names of files, or image files'
    )
    parser.add_argument(
        '--address', help="Ray cluster, HOST:PORT or 'auto' (default: this machine)"
    )
    parser.add_argument(
        '--workers', type=at_least(1),
        help='workers, each with its own networks (default: one per GPU; without GPUs, '
        'one per two cores)',
    )  # fmt: skip
    parser.add_argument(
        '--gpus-per-worker', type=float, metavar='F',
        help='share of a GPU that a worker takes (default: 1, without GPUs 0)',
    )  # fmt: skip
    parser.add_argument(
        '--shard', type=shard, metavar='INDEX/NUMBER',
        help='process every NUMBER-th input from INDEX on, from 0, without Ray',
    )  # fmt: skip
    parser.add_argument(
        '--images-per-part', type=at_least(1), default=256,
        help='most images in a Parquet file (default: 256)',
    )  # fmt: skip
    parser.add_argument(
        '--retry-failures', action='store_true',
        help='process inputs again that an earlier run could not read',
    )  # fmt: skip


def shard(text: str) -> tuple[int, int]:
    """Index and number of a shard."""
    index, _, number = text.partition('/')
    return int(index), int(number)


def build_job(args: argparse.Namespace) -> PoseJob:
    """Create the job of the arguments."""
    model = PoseModel(
        args.config,
        args.checkpoint,
        *args.det,
        box_thr=args.box_thr,
        min_box_area=args.min_box_area,
        tiles=args.tiles,
        **settings(args),
    )
    return PoseJob(
        args.inputs,
        args.out,
        model,
        column=args.column,
        images_per_part=args.images_per_part,
        retry_failures=args.retry_failures,
    )


def build_engine(args: argparse.Namespace) -> Engine:
    """Create the engine of the arguments."""
    if args.shard:
        return ProcessEngine()
    return RayEngine(args.address, args.workers, args.gpus_per_worker)


@contextmanager
def progress_bar() -> Iterator:
    """Show a progress bar; gives the function that updates it."""
    columns = (
        TextColumn('files'),
        BarColumn(),
        TextColumn('{task.fields[text]}'),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task('', total=None, text='')

        def report(progress: JobProgress) -> None:
            text = (
                f'{progress.files} done, {progress.people} people, '
                f'{progress.people_per_second:.1f}/s, {progress.failed} failed, '
                f'{progress.remaining} remaining'
            )
            done = progress.before + progress.files
            bar.update(task, total=progress.total, completed=done, text=text)

        yield report


def print_summary(progress: JobProgress) -> None:
    """Print the counts and the failures."""
    table = Table('files', 'done before', 'done', 'people', 'people/s', 'failed')
    table.add_column('remaining')
    failed = {failure.path for failure in progress.failures}
    counts = (progress.total, progress.before, progress.files, progress.people)
    rate = f'{progress.people_per_second:.1f}'
    table.add_row(*map(str, counts), rate, str(len(failed)), str(progress.remaining))
    table_console().print(table)
    for path, frame, error in progress.failures[:LISTED]:
        print(f'failed: {path} frame {frame}: {error}', file=sys.stderr)
    if len(progress.failures) > LISTED:
        print(
            f'... {len(progress.failures)} in total: rows with an error in the output',
            file=sys.stderr,
        )


@exit_status
def main() -> bool:
    args = parse_args()
    job = build_job(args)
    try:
        with progress_bar() as report:
            progress = job.run(build_engine(args), args.shard, report)
    except KeyboardInterrupt:
        print('interrupted: the same command continues the job', file=sys.stderr)
        return True
    print_summary(progress)
    return bool(progress.failures)
