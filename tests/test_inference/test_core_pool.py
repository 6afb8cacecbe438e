# SPDX-License-Identifier: Apache-2.0
"""Threads that share a batch, and the user's thread settings."""

import threading
import time

import pytest
import torch

import rmpe_plugin.inference.core_pool as module
from rmpe_plugin.inference import CorePool, available_cores


@pytest.fixture
def pool(monkeypatch):
    """Three threads, whatever this machine has."""
    monkeypatch.setattr(module, 'available_cores', lambda: 3)
    return CorePool()


@pytest.fixture
def user_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield 5
    torch.set_num_threads(before)


def task(i, wait=0.0):
    time.sleep(wait)
    return i, threading.get_ident(), torch.get_num_threads()


def test_threads_of_torch_are_those_of_the_user_outside_the_pool(pool, user_threads):
    tasks = [lambda i=i: task(i, 0.05) for i in range(6)]
    for _ in range(2):
        results = list(pool.run(tasks))
        assert [i for i, _, _ in results] == list(range(6))
        assert {threads for _, _, threads in results} == {1}
        assert len({ident for _, ident, _ in results}) == 3
        assert torch.get_num_threads() == user_threads
    fresh = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [user_threads]


def test_one_task_runs_in_the_calling_thread(pool, user_threads):
    ((_, ident, threads),) = pool.run([lambda: task(0)])
    assert (ident, threads) == (threading.get_ident(), user_threads)
    assert list(pool.run([])) == []


def test_errors_reach_the_caller(pool):
    def fail():
        raise ValueError('no crop')

    with pytest.raises(ValueError, match='no crop'):
        list(pool.run([lambda: 1, fail]))
    assert list(pool.run([lambda: 1, lambda: 2])) == [1, 2]


@pytest.mark.parametrize(
    ('number', 'batch_size', 'share'),
    [(1, 32, 1), (2, 32, 1), (9, 32, 3), (30, 32, 10), (31, 32, 6), (90, 32, 10),
     (85, 1, 1), (0, 32, 1)],
)  # fmt: skip
def test_share_divides_batches_evenly(pool, number, batch_size, share):
    assert pool.share(number, batch_size) == share
    assert share * pool.size <= max(batch_size, pool.size)


def test_available_cores():
    assert available_cores() >= 1
    assert CorePool().size == available_cores()
