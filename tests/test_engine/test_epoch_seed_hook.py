# SPDX-License-Identifier: Apache-2.0
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmpose.registry import HOOKS
from torch.utils.data import DataLoader, Dataset


class Draws(Dataset):
    """Three draws of as many generators, a sample."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return random.random(), np.random.uniform(), torch.rand(()).item()  # noqa: NPY002


def epoch(number, workers=0, seed=0, **loader):
    """What an epoch draws."""
    loader = DataLoader(Draws(), num_workers=workers, **loader)
    hook = HOOKS.build(dict(type='EpochSeedHook'))
    runner = SimpleNamespace(train_dataloader=loader, seed=seed, epoch=number)
    hook.before_train_epoch(runner)
    return [tuple(float(x) for x in draws) for draws in loader]


@pytest.mark.parametrize('workers', [0, 2])
def test_an_epoch_draws_the_same_again_and_others_do_not(workers):
    first = epoch(1, workers)
    Draws()[0]
    assert epoch(1, workers) == first
    assert len({draw for draws in first for draw in draws}) == 12
    for other in (epoch(2, workers), epoch(1, workers, seed=1)):
        assert not {x for draws in first for x in draws} & {
            x for draws in other for x in draws
        }


def test_the_largest_seeds_fit(monkeypatch):
    for seed in (0, 2**31 - 1, 2**32 - 1):
        assert epoch(10**6, 2, seed)


def test_workers_that_live_on_are_refused():
    with pytest.raises(ValueError, match='train_dataloader.persistent_workers=False'):
        epoch(0, 1, persistent_workers=True)
