# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.utils.files import atomic_write


@register_backend('atomic')
class WholeFileBackend(LocalBackend):
    """Local file backend with atomic writes and delayed removal.

    Attributes:
        outdated (set[str]): Files that were passed to :meth:`remove`. They are not
            deleted here.
    """

    def __init__(self) -> None:
        self.outdated: set[str] = set()

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file completely or not at all.

        Args:
            obj (bytes): Content.
            filepath (str | Path): Path of the file.

        Raises:
            OSError: If the file cannot be written, for example on a full disk. An
                existing file is unchanged.
        """
        try:
            with atomic_write(filepath, 'wb') as file:
                file.write(obj)
        except OSError as error:
            raise OSError(
                error.errno, f'{error.strerror}, {len(obj)} bytes', str(filepath)
            ) from error

    def remove(self, filepath: str | Path) -> None:
        """Mark a file as outdated without deleting it.

        Args:
            filepath (str | Path): Path of the file.
        """
        self.outdated.add(str(filepath))


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, safe against interruption.

    MMEngine's hook writes a checkpoint in place, removes the previous one first
    (``max_keep_ckpts``, ``save_best``), and truncates ``last_checkpoint`` before it
    writes it. If the process is killed then, or the disk is full, nothing may be left
    to resume from. This hook writes the checkpoint atomically, then updates
    ``last_checkpoint``, and then removes outdated checkpoints.

    Args:
        kwargs: Arguments of :class:`mmengine.hooks.CheckpointHook`. Files must be
            local.

    Raises:
        ValueError: If ``backend_args`` or ``file_client_args`` are not ``None``.
    """

    def __init__(self, **kwargs) -> None:
        for name in ('backend_args', 'file_client_args'):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f'default_hooks.checkpoint.{name} must be None: '
                    "AtomicCheckpointHook writes local files only; use MMEngine's "
                    'CheckpointHook for other file backends'
                )
        super().__init__(**kwargs, backend_args=dict(backend='atomic'))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save a checkpoint, update ``last_checkpoint``, remove outdated files."""
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
        """Save the best checkpoint, then remove the previous best one."""
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Delete outdated files except those that were written again."""
        best = [getattr(self, 'best_ckpt_path', None)]
        best += getattr(self, 'best_ckpt_path_dict', {}).values()
        for path in self.file_backend.outdated - {self.last_ckpt, *best}:
            Path(path).unlink(missing_ok=True)
        self.file_backend.outdated.clear()
