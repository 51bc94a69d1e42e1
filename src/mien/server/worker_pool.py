"""The threads that compute: as many as the machine has cores for, whatever is asked at once.

Everything that takes time goes through one pool: decoding and searching photos, classifying faces, live frames, the
steps of a video. Every network in it runs on one thread, so that no more threads compute than were asked for.
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
"""Order of work: what finishes something begun and live frames; photos and steps of videos; the sign to end."""


class WorkerPool:
    """Threads that take work by its order, then by its age.

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
        """Pieces of work that no thread has begun."""
        return self._queue.qsize()

    async def run(self, order: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``work`` returns or raises. Cancelled before a thread begins it, it is left out."""
        return await asyncio.wrap_future(self.submit(order, work, *args, **kwargs))

    def submit(self, order: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `run`, for callers without an event loop."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # whatever it is, whoever asked is to have it
                future.set_exception(error)

        self._queue.put((order, next(self._count), call))
        return future

    def close(self, seconds: float) -> None:
        """End the threads after the work that waits, or after so many seconds."""
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
