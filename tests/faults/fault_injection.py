# SPDX-License-Identifier: Apache-2.0
"""Hooks and a transform that interrupt a training, for use in configs."""

import os
import resource
import signal
from pathlib import Path

from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmpose.registry import HOOKS, TRANSFORMS
from torch.utils.data import get_worker_info


def kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class KillBeforeIteration(Hook):
    """Kill the process before an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            kill_this_process()


@HOOKS.register_module()
class KillDuringWrite(Hook):
    """Kill the process during an atomic write.

    Args:
        call (str): ``'fsync'`` to kill it when the temporary file is written,
            ``'replace'`` to kill it before the temporary file is renamed.
        number (int): Number of files that are written successfully before.
    """

    def __init__(self, call, number):
        self.call, self.number = call, number

    def before_train(self, runner):
        module = {'fsync': os, 'replace': Path}[self.call]
        original, remaining = getattr(module, self.call), iter(range(self.number))

        def call(*args):
            if next(remaining, None) is None:
                kill_this_process()
            return original(*args)

        setattr(module, self.call, call)


@HOOKS.register_module()
class FillDisk(Hook):
    """Limit the size of files from an iteration on.

    Args:
        iteration (int): The iteration.
        max_bytes (int): Maximum size of a file.
    """

    def __init__(self, iteration, max_bytes):
        self.iteration, self.max_bytes = iteration, max_bytes

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.max_bytes, hard))


@TRANSFORMS.register_module()
class KillWorkerOnce(BaseTransform):
    """Kill a worker of the data loader unless a marker file exists.

    Args:
        marker (str): The marker file, created before the worker is killed.
    """

    def __init__(self, marker):
        self.marker = Path(marker)

    def transform(self, results):
        if get_worker_info() and not self.marker.exists():
            self.marker.touch()
            kill_this_process()
        return results
