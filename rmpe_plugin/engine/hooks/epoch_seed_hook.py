# SPDX-License-Identifier: Apache-2.0
from functools import partial

import numpy as np
from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.utils import set_random_seed
from mmpose.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds every epoch anew, so that a resumed run sees what an unbroken one sees.

    MMEngine seeds once, when a run starts: a resumed run augments its first epoch as
    the first of all was. Here the seed of an epoch is made of ``randomness.seed``, the
    epoch and the process's rank, for this process and for the data loader's workers.
    These must start anew with each epoch.

    Raises:
        ValueError: If the training loader has persistent workers.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process, and the workers that the loader is about to start.

        Args:
            runner (Runner): The runner.
        """
        loader = runner.train_dataloader
        if loader.num_workers and loader.persistent_workers:
            raise ValueError(
                'EpochSeedHook needs train_dataloader.persistent_workers=False: '
                'workers that live on keep the randomness of the epochs before'
            )
        rank = get_rank()
        source = np.random.SeedSequence([runner.seed, runner.epoch, rank])
        # Half of 32 bits: a worker's number is added to it.
        seed = int(source.generate_state(1)[0] >> 1)
        set_random_seed(seed)
        loader.worker_init_fn = partial(
            worker_init_fn, num_workers=loader.num_workers, rank=rank, seed=seed
        )
