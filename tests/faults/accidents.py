# SPDX-License-Identifier: Apache-2.0
"""What may happen to a training, as hooks and transforms that a config can name."""

import os
import resource
import signal
from pathlib import Path

from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmpose.registry import HOOKS, TRANSFORMS
from torch.utils.data import get_worker_info

from rmpe_plugin.engine.hooks import whole_checkpoint_hook


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class KilledAt(Hook):
    """The process is killed before this iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            die()


@HOOKS.register_module()
class KilledInSave(Hook):
    """The process is killed when so many files have been written or are in place.

    Args:
        call (str): 'fsync': what is written has no name yet; 'replace': it gets one.
        number (int): Which file.
    """

    def __init__(self, call, number):
        self.call, self.number = call, number

    def before_train(self, runner):
        owner = {'fsync': whole_checkpoint_hook.os, 'replace': Path}[self.call]
        done, count = getattr(owner, self.call), iter(range(self.number))

        def call(*args):
            if next(count, None) is None:
                die()
            return done(*args)

        setattr(owner, self.call, call)


@HOOKS.register_module()
class DiskFull(Hook):
    """From this iteration on no file can grow beyond some bytes."""

    def __init__(self, iteration, most):
        self.iteration, self.most = iteration, most

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, hard))


@TRANSFORMS.register_module()
class WorkerDies(BaseTransform):
    """A data loader's process is killed, once."""

    def __init__(self, marker):
        self.marker = Path(marker)

    def transform(self, results):
        if get_worker_info() and not self.marker.exists():
            self.marker.touch()
            die()
        return results
