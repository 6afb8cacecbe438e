# SPDX-License-Identifier: Apache-2.0
import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import HOOKS
from torch.utils.data import DataLoader, Dataset

from rmpe_plugin.engine.hooks import epoch_seed_hook
from tests.conftest import ROOT


class RandomNumbers(Dataset):
    """Each sample is a random number of each of three generators."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return random.random(), np.random.uniform(), torch.rand(()).item()  # noqa: NPY002


def run_epoch(number, workers=0, seed=0, **loader):
    """Samples of an epoch."""
    loader = DataLoader(RandomNumbers(), num_workers=workers, **loader)
    hook = HOOKS.build(dict(type='EpochSeedHook'))
    runner = SimpleNamespace(train_dataloader=loader, seed=seed, epoch=number)
    hook.before_train(runner)
    # Every epoch replaces the function of the epoch before.
    hook.before_train_epoch(SimpleNamespace(**vars(runner) | dict(epoch=number + 7)))
    hook.before_train_epoch(runner)
    return [tuple(float(x) for x in sample) for sample in loader]


@pytest.mark.parametrize('workers', [0, 2])
def test_samples_depend_on_epoch_and_seed_only(workers):
    first = run_epoch(1, workers)
    RandomNumbers()[0]  # changes the state of the generators
    assert run_epoch(1, workers) == first
    assert len({x for sample in first for x in sample}) == 12
    for other in (run_epoch(2, workers), run_epoch(1, workers, seed=1)):
        assert not {x for sample in first for x in sample} & {
            x for sample in other for x in sample
        }


@pytest.mark.parametrize('workers', [0, 2])
def test_samples_of_each_rank_differ(workers, monkeypatch):
    first = run_epoch(1, workers)
    monkeypatch.setattr(epoch_seed_hook, 'get_rank', lambda: 1)
    other = run_epoch(1, workers)
    assert not {x for s in first for x in s} & {x for s in other for x in s}


def record_and_seed(path, worker_id):
    with open(path, 'a') as file:
        file.write(f'{worker_id}')
    np.random.seed(0)  # noqa: NPY002


def test_calls_the_function_of_the_config_before_it_seeds(tmp_path):
    path = tmp_path / 'workers.txt'
    worker_init_fn = partial(record_and_seed, path)
    assert run_epoch(1, 2, worker_init_fn=worker_init_fn) == run_epoch(1, 2)
    assert sorted(path.read_text()) == ['0', '1']


def test_accepts_the_largest_seeds():
    for seed in (0, 2**31 - 1, 2**32 - 1):
        assert run_epoch(10**6, 2, seed)


def test_raises_on_persistent_workers():
    with pytest.raises(ValueError, match='train_dataloader.persistent_workers=False'):
        run_epoch(0, 1, persistent_workers=True)


def test_configs_with_the_hook_set_a_seed():
    configs = {
        path: Config.fromfile(path) for path in sorted((ROOT / 'configs').rglob('*.py'))
        if '_base_' not in path.parts
    }  # fmt: skip
    seeds = [
        config.get('randomness', {}).get('seed')
        for config in configs.values()
        if 'epoch_seed' in config.get('default_hooks', {})
    ]
    assert len(seeds) > 40
    assert None not in seeds
