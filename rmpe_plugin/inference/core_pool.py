# SPDX-License-Identifier: Apache-2.0
"""Threads that share the people of a batch, one for each core."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar('T')
Task = Callable[[], T]


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


class CorePool:
    """One thread for each core that the process may use; torch does not start others.

    OpenCV, torch and onnxruntime release the interpreter lock while they compute. Each
    core therefore crops, estimates and decodes its own people, and waits for no other
    thread within an operation. Threads that wait for each other in every operation, as
    those of OpenMP, take several times as long while other processes use the cores.
    The number of torch's threads outside this pool does not change.

    Attributes:
        size (int): Number of threads.
    """

    def __init__(self) -> None:
        self.size = available_cores()

    def share(self, number: int, batch_size: int) -> int:
        """Number of people per task, so that all tasks together are a batch.

        Args:
            number (int): Number of people.
            batch_size (int): Maximum number of people in all threads.

        Returns:
            int: People per task, at least 1.
        """
        limit = max(1, batch_size // self.size)
        rounds = -(-number // (limit * self.size))
        return max(1, -(-number // (rounds * self.size))) if number else 1

    def run(self, tasks: Iterable[Task]) -> Iterator[T]:
        """Run tasks in the threads; a single task in the calling thread.

        Args:
            tasks (Iterable[Callable]): Functions without arguments.

        Yields:
            The result of each task, in order.
        """
        tasks = list(tasks)
        if len(tasks) < 2:
            return (task() for task in tasks)
        return self._threads.map(lambda task: task(), tasks)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """The threads, all of them started."""
        number, started = torch.get_num_threads(), Barrier(self.size)
        threads = ThreadPoolExecutor(self.size, 'estimate', _use_one_thread)
        list(threads.map(lambda _: started.wait(), range(self.size)))
        # torch sets the number of the calling thread and that of threads to come.
        torch.set_num_threads(number)
        return threads


def _use_one_thread() -> None:
    """Let torch compute in the calling thread only."""
    # torch initialises the number when a thread first asks for it.
    torch.get_num_threads()
    torch.set_num_threads(1)
