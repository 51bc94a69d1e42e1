"""The threads that compute: as many as the machine has cores for, whatever is requested at once.

Everything that takes time runs in one pool: decoding photos, detecting and classifying faces, live frames, the steps of
a video. Every network in it runs on one thread, so that no more threads compute than the pool has.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

URGENT, NORMAL, _STOP = 0, 1, 2
"""Priorities: live frames and what finishes a request in progress; photos and steps of videos; the signal to stop."""


class WorkerPool:
    """Threads that take work by its priority, then by its age.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._queue: queue.PriorityQueue[tuple[int, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._count = itertools.count()
        self._threads = [
            threading.Thread(target=self._work, name=f"mien-serve-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def waiting(self) -> int:
        """Number of tasks that no thread has started."""
        return self._queue.qsize()

    async def run(self, priority: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``work`` returns or raises. Cancelled before a thread starts it, it is skipped."""
        return await asyncio.wrap_future(self.submit(priority, work, *args, **kwargs))

    def submit(self, priority: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `run`, for callers without an event loop."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # whatever it is, the caller must get it
                future.set_exception(error)

        self._queue.put((priority, next(self._count), call))
        return future

    def close(self, seconds: float) -> None:
        """Stop the threads after the work that waits, or after the given time."""
        for _ in self._threads:
            self._queue.put((_STOP, next(self._count), None))
        for thread in self._threads:
            thread.join(seconds)

    def _work(self) -> None:
        while True:
            call: Any = self._queue.get()[2]
            if call is None:
                return
            call()
            del call  # or it would keep its picture until the next one comes
