# SPDX-License-Identifier: Apache-2.0
"""Order of writes and removals; tests/faults has tests with killed trainings."""

import errno

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.utils.data import DataLoader

from rmpe_plugin.engine.hooks import WholeFileBackend
from rmpe_plugin.utils import files


def test_put_on_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path, backend = tmp_path / 'new' / 'a.pth', WholeFileBackend()
    backend.put(b'first', path)
    assert path.read_bytes() == b'first'

    def raise_disk_full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(files.os, 'fsync', raise_disk_full)
    with pytest.raises(OSError, match=r'No space left on device, 6 bytes.*a\.pth') as e:
        backend.put(b'second', path)
    assert e.value.errno == errno.ENOSPC
    assert path.read_bytes() == b'first'
    assert [p.name for p in path.parent.iterdir()] == ['a.pth']


def test_remove_only_marks_the_file(tmp_path):
    path, backend = tmp_path / 'a.pth', WholeFileBackend()
    backend.put(b'first', path)
    backend.remove(path)
    assert path.exists()
    assert backend.outdated == {str(path)}


@pytest.mark.parametrize('name', ['backend_args', 'file_client_args'])
def test_raises_on_other_file_backends(name):
    message = f'default_hooks.checkpoint.{name} must be None'
    with pytest.raises(ValueError, match=message):
        HOOKS.build(dict(type='AtomicCheckpointHook', **{name: dict(backend='petrel')}))


class Net(torch.nn.Module):
    """The smallest model that a runner accepts."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def train_step(self, data, optim_wrapper):
        loss = self.layer(torch.ones_like(self.layer.weight)).sum()
        optim_wrapper.update_params(loss)
        return dict(loss=loss.detach())

    def val_step(self, data):
        return [None]


class Scores(Evaluator):
    """Evaluator that returns given scores, one for each validation."""

    def __init__(self, *scores):
        super().__init__([])
        self.scores = list(scores)

    def process(self, data_samples, data_batch=None):
        pass

    def evaluate(self, size):
        return {'coco/AP': self.scores.pop(0)}


@pytest.mark.parametrize('hook', ['CheckpointHook', 'AtomicCheckpointHook'])
def test_keeps_the_same_files_as_mmengine(hook, tmp_path):
    # The last two of five epochs, and the best one.
    loader = DataLoader([0], batch_size=1)
    runner = Runner(
        Net(),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader,
        val_evaluator=Scores(0.2, 0.5, 0.3, 0.6, 0.1),
        train_cfg=dict(by_epoch=True, max_epochs=5, val_interval=1),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type=hook, interval=1, max_keep_ckpts=2, save_best='coco/AP',
                rule='greater',
            )
        ),
        default_scope='mmpose',
        experiment_name=hook,
    )  # fmt: skip
    runner.train()
    names = {path.name for path in tmp_path.glob('*.pth*')}
    assert names == {'epoch_4.pth', 'epoch_5.pth', 'best_coco_AP_epoch_4.pth'}
    last = (tmp_path / 'last_checkpoint').read_text()
    assert last == str(tmp_path / 'epoch_5.pth')
