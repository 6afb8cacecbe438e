# SPDX-License-Identifier: Apache-2.0
"""Programs that compare variants of a training: their arguments and their results."""

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import DictAction
from rich.progress import track

from rmpe_plugin.utils.files import ResumeJournal, atomic_write

from .runs import run_missing


class _Seeds(argparse.Action):
    """Argument of different random seeds."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if len(set(values)) < len(values) or min(values) < 0:
            raise argparse.ArgumentError(
                self, f'must be different and not negative, got {values}'
            )
        setattr(namespace, self.dest, values)


def add_seeds(parser: argparse.ArgumentParser, default: Sequence[int]) -> None:
    """Add the argument ``--seeds``.

    Args:
        parser (argparse.ArgumentParser): Parser of the program.
        default (Sequence[int]): Default.
    """
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=list(default),
        action=_Seeds,
        help=f'random seeds (default: {" ".join(map(str, default))})',
    )


def add_arguments(
    parser: argparse.ArgumentParser, variants: Collection[str], work_dir: str
) -> None:
    """Add the arguments ``--variants``, ``--work-dir`` and ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): Parser of the program.
        variants (Collection[str]): Names of the variants.
        work_dir (str): Default of ``--work-dir``.
    """
    parser.add_argument(
        '--variants',
        nargs='+',
        choices=tuple(variants),
        default=tuple(variants),
        help='variants to train (default: all)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path(work_dir),
        help='folder of the trainings and results (default: %(default)s)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='changes of the config, as in tools/train.py',
    )


def experiment_name(variant: str, *more: object) -> str:
    """Name the folder of an experiment.

    Args:
        variant (str): Name of the variant.
        more (object): What else identifies the experiment, such as the seed.

    Returns:
        str: Name without spaces and commas.
    """
    return '-'.join((variant.replace(', ', '-').replace(' ', '-'), *map(str, more)))


def run_comparison(
    work_dir: Path, settings: dict, keys: Sequence[dict], run: Callable[..., dict]
) -> dict[str, list[dict]]:
    """Run the experiments that are missing, with a progress bar, and write the results.

    ``results.json`` in ``work_dir`` lists all finished experiments: what identifies
    each, and its ``results``.

    Args:
        work_dir (Path): Folder of ``journal.jsonl`` and ``results.json``.
        settings (dict): What all results depend on, JSON types only.
        keys (Sequence[dict]): See :func:`run_missing`; each has a ``variant``.
        run (Callable): See :func:`run_missing`.

    Returns:
        dict[str, list[dict]]: Results of each variant, in the order of ``keys``.

    Raises:
        SystemExit: If ``work_dir`` has results of other settings.
    """
    try:
        journal = ResumeJournal(work_dir / 'journal.jsonl', settings)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    results = run_missing(journal, keys, run, partial(track, description='trainings'))
    with atomic_write(work_dir / 'results.json') as file:
        json.dump(journal.records, file, indent=1)
    by_variant: dict[str, list[dict]] = {}
    for key, metrics in zip(keys, results, strict=True):
        by_variant.setdefault(key['variant'], []).append(metrics)
    return by_variant
