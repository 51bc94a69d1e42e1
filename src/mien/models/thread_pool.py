"""Independent pieces of one task, side by side on a few threads; threads and locks that are whole in forks."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class ForkSafeLock:
    """A lock that is open in forks and in pickled copies, whatever thread holds it here; a context manager."""

    def __init__(self) -> None:
        self._lock, self._process = threading.Lock(), os.getpid()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self.__init__()  # type: ignore[misc]
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return ForkSafeLock, ()


class ThreadPool:
    """Threads that work beside the caller's own. Safe to use from several threads, but not from within a work item.

    It pays where an item releases the interpreter lock for some tenths of a millisecond, as networks and OpenCV do.
    Networks as small as a face detector's gain more from it than from threads inside one operator, which synchronise
    after each operator.

    Args:
        threads: number of threads that work, including the caller's; forks and pickled copies have others.
    """

    def __init__(self, threads: int) -> None:
        self._helpers = threads - 1
        self._start()

    def _start(self) -> None:
        self._pool = ThreadPoolExecutor(self._helpers, "mien-worker") if self._helpers else None
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return ThreadPool, (self.threads,)

    @property
    def threads(self) -> int:
        """Number of threads that work, including the caller's."""
        return self._helpers + 1

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """``work(item)`` of every item, in order. Items start in order, so put the longest first.

        The first exception that an item raises is raised here, once no item runs any more.
        """
        if self._process != os.getpid():
            self._start()  # a fork: the threads exist in the parent alone
        pool = self._pool
        if pool is None or len(items) < 2:
            return [work(item) for item in items]
        results: dict[int, Result] = {}
        waiting = deque(enumerate(items))

        def take() -> None:
            while True:
                try:
                    i, item = waiting.popleft()
                except IndexError:
                    return
                results[i] = work(item)

        helping = [pool.submit(take) for _ in range(min(self._helpers, len(items) - 1))]
        try:
            take()
        finally:
            waiting.clear()
            # a helper that has not started, because the threads are busy with other callers, has nothing left to do
            started = [future for future in helping if not future.cancel()]
            errors = [future.exception() for future in started]
        for error in errors:
            if error is not None:
                raise error
        return [results[i] for i in range(len(items))]
