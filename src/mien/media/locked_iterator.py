"""A generator that one thread reads and another may close."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from threading import Lock

from mien.media.frame import Frame


class LockedIterator(Iterator[Frame]):
    """Frames of a generator, which is run or closed by one thread at a time.

    Two threads that close or run a generator at once can bring the interpreter down.
    """

    def __init__(self, frames: Generator[Frame, None, None], let_go: Callable[[], None] | None = None) -> None:
        """Take turns at ``frames``; ``let_go`` frees what they come from and is called with every close."""
        self._frames, self._let_go, self._turn = frames, let_go, Lock()

    def __next__(self) -> Frame:
        with self._turn:
            return next(self._frames)

    def close(self) -> bool:
        """Close the generator; False where another thread is in it, which has to see another sign, and to end."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            self._frames.close()
            if self._let_go is not None:
                self._let_go()
        finally:
            self._turn.release()
        return True
