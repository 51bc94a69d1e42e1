"""Independent pieces of one task, side by side on a few threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class ThreadPool:
    """Threads that help the caller's own. Safe to use from several threads, but not from within a piece of work.

    It pays where a piece leaves the interpreter for some tenths of a millisecond, as networks and OpenCV do. Networks
    as small as a face detector's gain more so than from threads inside one operator, which meet again after each.

    Args:
        threads: how many work, the caller's among them.
    """

    def __init__(self, threads: int) -> None:
        self._helpers = threads - 1
        self._pool = ThreadPoolExecutor(self._helpers, "mien-worker") if self._helpers else None

    @property
    def threads(self) -> int:
        """How many work, the caller's among them."""
        return self._helpers + 1

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """``work`` of every item, in order; begun in order, so give the longest first."""
        if self._pool is None or len(items) < 2:
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

        helping = [self._pool.submit(take) for _ in range(min(self._helpers, len(items) - 1))]
        try:
            take()
        finally:
            waiting.clear()
            # one that is not yet begun, because the threads help somebody else, has nothing left to do
            begun = [one for one in helping if not one.cancel()]
            failed = [one.exception() for one in begun]
        for error in failed:
            if error is not None:
                raise error
        return [results[i] for i in range(len(items))]
