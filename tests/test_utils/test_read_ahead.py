# SPDX-License-Identifier: Apache-2.0
import threading
import time
from functools import partial
from itertools import count

import pytest

from rmpe_plugin.utils.read_ahead import read_ahead


def threads():
    """Threads of read_ahead that are alive."""
    return [t for t in threading.enumerate() if t.name.startswith('read_ahead')]


def wait_for(condition):
    """Wait until a condition holds, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def slow_square(i):
    # Later tasks finish earlier.
    time.sleep(0.02 / (i + 1))
    return i * i


@pytest.mark.parametrize('depth', [1, 3, 50])
def test_results_are_in_order(depth):
    tasks = (partial(slow_square, i) for i in range(20))
    assert list(read_ahead(tasks, depth, 4)) == [i * i for i in range(20)]
    assert not threads()


def test_no_tasks():
    assert list(read_ahead([], 2, 1)) == []


def test_tasks_run_ahead_but_not_more_than_depth():
    started = []

    def tasks():
        for i in count():
            started.append(i)
            yield partial(int, i)

    results = read_ahead(tasks(), 3, 2)
    assert next(results) == 0
    wait_for(lambda: len(started) == 4)
    time.sleep(0.05)
    assert len(started) == 4  # one is consumed, three wait
    results.close()
    wait_for(lambda: not threads())


def test_error_of_a_task_is_raised_at_its_place():
    results = read_ahead([partial(int, 1), partial(int, 'x'), partial(int, 2)], 3, 2)
    assert next(results) == 1
    with pytest.raises(ValueError, match='invalid literal'):
        next(results)
    wait_for(lambda: not threads())


def test_error_of_the_iterable_is_raised_after_its_tasks():
    def tasks():
        yield partial(int, 1)
        raise OSError('broken video')

    results = read_ahead(tasks(), 2, 1)
    assert next(results) == 1
    with pytest.raises(OSError, match='broken video'):
        next(results)
    wait_for(lambda: not threads())


@pytest.mark.parametrize('error', [KeyboardInterrupt, GeneratorExit])
def test_interruption_leaves_no_thread(error):
    results = read_ahead((partial(int, i) for i in count()), 8, 4)
    for _ in range(5):
        next(results)
    with pytest.raises((error, StopIteration)):
        results.throw(error)
    wait_for(lambda: not threads())


def test_abandoned_generator_leaves_no_thread():
    results = read_ahead((partial(int, i) for i in count()), 8, 4)
    next(results)
    del results
    wait_for(lambda: not threads())
