# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from functools import partial

import numpy as np
from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.utils import set_random_seed
from mmpose.registry import HOOKS


def _init_worker(
    seed_worker: Callable, configured: Callable | None, worker_id: int
) -> None:
    """Call the function of the config, then seed the worker."""
    if configured is not None:
        configured(worker_id)
    seed_worker(worker_id)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds every epoch, so that a resumed run has the data of an uninterrupted run.

    MMEngine seeds once per run, so a resumed run would repeat the augmentations of
    epoch 1. This hook derives a seed from ``randomness.seed``, the epoch and the rank,
    for the process and for the data loader's workers, which must restart every epoch.
    Set ``randomness.seed`` in the config: without it, the order of the data differs.
    ``train_dataloader.worker_init_fn`` is called before a worker is seeded.

    Raises:
        ValueError: If the training data loader has persistent workers.
    """

    def before_train(self, runner: Runner) -> None:
        """Keep the data loader's own function, which each new worker calls."""
        self._configured = runner.train_dataloader.worker_init_fn

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the process and the workers that the data loader will start."""
        loader = runner.train_dataloader
        if loader.num_workers and loader.persistent_workers:
            raise ValueError(
                'EpochSeedHook needs train_dataloader.persistent_workers=False: '
                'persistent workers would keep the random state of earlier epochs'
            )
        rank = get_rank()
        sequence = np.random.SeedSequence([runner.seed, runner.epoch, rank])
        # 31 of 32 bits: worker_init_fn adds the worker's index.
        seed = int(sequence.generate_state(1)[0] >> 1)
        set_random_seed(seed)
        seed_worker = partial(
            worker_init_fn, num_workers=loader.num_workers, rank=rank, seed=seed
        )
        loader.worker_init_fn = partial(_init_worker, seed_worker, self._configured)
