# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@register_backend('whole')
class WholeFileBackend(LocalBackend):
    """Local files that have their name once they are whole.

    What is written goes to a file with ``.part`` after its name, to the disk, and only
    then in the place of what was there. What is removed is noted in ``outdated``.
    """

    def __init__(self) -> None:
        self.outdated: set[str] = set()

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file, whole or not at all.

        Args:
            obj (bytes): What it holds.
            filepath (str | Path): Its path.

        Raises:
            OSError: If the disk is full, for example. A file that was there is there
                as it was.
        """
        path = Path(filepath)
        part = path.with_name(path.name + '.part')
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open('wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OSError(
                error.errno, f'{error.strerror}, {len(obj)} bytes', str(path)
            ) from error

    def remove(self, filepath: str | Path) -> None:
        """Note that a file is outdated.

        Args:
            filepath (str | Path): Its path.
        """
        self.outdated.add(str(filepath))


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, which loses nothing when it is interrupted.

    MMEngine's own writes a checkpoint in place, removes the one before it first
    (``max_keep_ckpts``, ``save_best``), and empties ``last_checkpoint`` before it
    writes it: killed then, or on a full disk, there may be nothing to resume from.
    Here a checkpoint has its name once it is whole, then ``last_checkpoint`` names it,
    and then what it outdates is removed.

    Args:
        kwargs: As :class:`mmengine.hooks.CheckpointHook`'s, but files are local.

    Raises:
        ValueError: If ``backend_args`` or ``file_client_args`` are given.
    """

    def __init__(self, **kwargs) -> None:
        for name in ('backend_args', 'file_client_args'):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f'default_hooks.checkpoint.{name} is for files that are not local, '
                    "which MMEngine's CheckpointHook writes; WholeCheckpointHook takes "
                    'None'
                )
        super().__init__(**kwargs, backend_args=dict(backend='whole'))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save a checkpoint, name it the last, and remove what it outdates."""
        join, hub = self.file_backend.join_path, runner.message_hub
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                first = self.filename_tmpl.format(self.keep_ckpt_ids[0])
                self.file_backend.remove(join(self.out_dir, first))
            self.keep_ckpt_ids.append(step)
            hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = join(self.out_dir, name)
        hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            last = join(runner.work_dir, 'last_checkpoint')
            self.file_backend.put(self.last_ckpt.encode(), last)
            self._remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint, then remove the one that was."""
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Remove what was outdated, unless it has been written anew."""
        best = [getattr(self, 'best_ckpt_path', None)]
        best += getattr(self, 'best_ckpt_path_dict', {}).values()
        for path in self.file_backend.outdated - {self.last_ckpt, *best}:
            Path(path).unlink(missing_ok=True)
        self.file_backend.outdated.clear()
