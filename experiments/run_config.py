# SPDX-License-Identifier: Apache-2.0
"""Run one config in a process of its own.

The process ends with the one that started it, so that an interrupted run leaves no
training behind that would write to the folder of the next one.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from .runs import train

_POLL_SECONDS = 1.0


def run_config(path: Path, checkpoint: Path | None) -> None:
    """Train with a config and validate, or test a checkpoint.

    A training that was interrupted continues after its last epoch. A config with
    ``box_sets`` is tested on each of them: dictionaries of ``bbox_file`` and
    ``prefix``, to which the evaluators write.

    Args:
        path (Path): Config, in the work directory.
        checkpoint (Path, optional): Checkpoint to test; ``None`` to train.
    """
    config = Config.fromfile(path)
    config.work_dir = str(path.parent)
    config.experiment_name = f'{path.parent.name}-{path.stem}'
    if checkpoint is None:
        train(config).val()
        return
    config.load_from = str(checkpoint)
    for number, test in enumerate(_tests(config)):
        test.experiment_name = f'{config.experiment_name}-{number}'
        Runner.from_cfg(test).test()


def _tests(config: Config) -> Iterator[Config]:
    """The config of each test."""
    if 'box_sets' not in config:
        yield config
        return
    for boxes in config.box_sets:
        test = Config(config.to_dict())
        test.test_dataloader.dataset.bbox_file = boxes.bbox_file
        for evaluator in test.test_evaluator:
            evaluator.outfile_prefix = boxes.prefix
        yield test


def _exit_with_parent() -> None:
    """End this process when the one that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path)
    parser.add_argument('--checkpoint', type=Path, help='checkpoint to test')
    args = parser.parse_args()
    _exit_with_parent()
    run_config(args.config, args.checkpoint)


if __name__ == '__main__':
    main()
