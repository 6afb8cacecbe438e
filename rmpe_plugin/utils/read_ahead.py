# SPDX-License-Identifier: Apache-2.0
"""Run tasks in threads, a few of them ahead of their consumer."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import TypeVar

T = TypeVar('T')


def read_ahead(
    tasks: Iterable[Callable[[], T]], depth: int, num_threads: int
) -> Generator[T, None, None]:
    """Run tasks in threads and yield their results in order.

    At most ``depth`` results wait for the consumer, so that memory is bounded. The
    iterable itself is advanced in one further thread. When the generator is closed, or
    the consumer is interrupted, all threads end.

    Args:
        tasks (Iterable[Callable]): Functions without arguments.
        depth (int): Maximum number of tasks that have been started and whose results
            have not been consumed.
        num_threads (int): Number of threads that run tasks.

    Yields:
        The result of each task.

    Raises:
        Exception: The exception of a task or of the iterable, at its place.

    Example:
        >>> tasks = [lambda i=i: i * i for i in range(4)]
        >>> list(read_ahead(tasks, depth=2, num_threads=2))
        [0, 1, 4, 9]
    """
    free, stopped = Semaphore(depth), Event()
    started: SimpleQueue[Future[T] | None] = SimpleQueue()

    def start_tasks() -> None:
        """Start the next task whenever a place is free."""
        try:
            iterator = iter(tasks)
            while free.acquire() and not stopped.is_set():
                if (task := next(iterator, None)) is None:
                    break
                started.put(pool.submit(task))
        finally:
            started.put(None)

    with ThreadPoolExecutor(num_threads + 1, 'read_ahead') as pool:
        starter = pool.submit(start_tasks)
        try:
            while (future := started.get()) is not None:
                result = future.result()
                free.release()
                yield result
            starter.result()
        finally:
            stopped.set()
            free.release()
            pool.shutdown(wait=False, cancel_futures=True)
