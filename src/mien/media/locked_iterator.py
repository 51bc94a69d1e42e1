"""A generator that one thread reads and another may close."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from threading import Lock

from mien.media.frame import Frame


class LockedIterator(Iterator[Frame]):
    """Frames of a generator, which only one thread at a time runs or closes.

    Two threads that close or run a generator at once can bring the interpreter down.

    Args:
        frames: the generator.
        release: frees what the frames come from; called with every close.
    """

    def __init__(self, frames: Generator[Frame, None, None], release: Callable[[], None] | None = None) -> None:
        self._frames, self._release, self._lock = frames, release, Lock()

    def __next__(self) -> Frame:
        with self._lock:
            return next(self._frames)

    def close(self) -> bool:
        """Close the generator; False while another thread runs it, which needs another signal to end."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._frames.close()
            if self._release is not None:
                self._release()
        finally:
            self._lock.release()
        return True
