"""A source read ahead by a thread, through a queue that holds only so much."""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections import deque
from collections.abc import Iterator

from mien.errors import InputError
from mien.media.frame import Frame
from mien.media.source import FrameSource, SourceInfo

QUEUE_FRAMES, LIVE_QUEUE_FRAMES = 16, 2
"""Frames read ahead of a file, and of a live source, where each costs its time in latency."""
QUEUE_BYTES = 256 << 20
"""Bytes of pixels in the queue."""
_MIN_QUEUE_FRAMES = 2
"""Frames in the queue however large they are, so that reading and analysis overlap."""
_CLOSE_TIMEOUT = 2.0
"""Seconds that closing waits for a read that stalls; after that the thread is left to end by itself."""
_POLL_INTERVAL = 0.2
"""Seconds between looks at the signals while waiting: on some systems only a wait that ends sees Ctrl-C."""


class ReadAhead:
    """Reads ahead of whoever iterates over it; the thread starts with the iteration and ends with `close`.

    A file waits when the queue is full, so that no frame is lost. Of a live source the oldest frame is thrown away and
    counted, so that what comes out is never older than the queue is long. An error of the source is raised in the
    iteration after the frames that came before it.

    Args:
        source: what to read; it is closed with the buffer.
        size: frames in the queue at most; by default 16 of a file and 2 of a live source.
        newest: throw away the oldest frame instead of waiting; by default for live sources.
        memory: bytes of pixels in the queue at most, but at least two frames.
    """

    def __init__(
        self, source: FrameSource, *, size: int | None = None, newest: bool | None = None, memory: int = QUEUE_BYTES
    ) -> None:
        if size is not None and size < 1:
            raise InputError(f"size is at least 1 frame, got {size}")
        self._source = source
        self._newest = source.info.live if newest is None else newest
        self._size = size if size is not None else LIVE_QUEUE_FRAMES if self._newest else QUEUE_FRAMES
        self._memory = memory
        self._queue: deque[Frame] = deque()
        self._bytes = 0
        self._dropped = 0
        self._change = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def info(self) -> SourceInfo:
        """The source's."""
        return self._source.info

    @property
    def lost(self) -> int:
        """The source's."""
        return self._source.lost

    @property
    def dropped(self) -> int:
        """Frames that the source or the queue has thrown away."""
        return self._source.dropped + self._dropped

    @property
    def problems(self) -> tuple[str, ...]:
        """The source's."""
        return self._source.problems

    def __iter__(self) -> Iterator[Frame]:
        """The frames; a second loop goes on where the first one stopped."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._fill, name=f"mien {self.info.name}", daemon=True)
            atexit.register(self.close)
            self._thread.start()
        while (frame := self._taken()) is not None:
            yield frame

    def close(self) -> None:
        """Stop reading and throw away what is in the queue; never waits long, even where the source does not answer."""
        with self._change:
            self._closed = True
            self._queue.clear()
            self._bytes = 0
            self._change.notify_all()
        self._source.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_TIMEOUT)
            if self._thread.is_alive():
                _never_free(self._source)
        atexit.unregister(self.close)

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _taken(self) -> Frame | None:
        with self._change:
            while not self._queue and not self._ended and not self._closed:
                self._change.wait(_POLL_INTERVAL)
            if self._queue:
                frame = self._queue.popleft()
                self._bytes -= frame.rgb.nbytes
                self._change.notify_all()
                return frame
            error, self._error = self._error, None
        if error is not None and not self._closed:
            raise error
        return None

    def _fill(self) -> None:
        try:
            for frame in self._source:
                if not self._put(frame):
                    return
        except BaseException as error:  # whatever it is, the thread that asked for the frames is to have it
            self._error = error
        finally:
            self._source.close()
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _put(self, frame: Frame) -> bool:
        size = frame.rgb.nbytes
        with self._change:
            while self._is_full(size) and not self._closed:
                if self._newest:
                    self._bytes -= self._queue.popleft().rgb.nbytes
                    self._dropped += 1
                else:
                    self._change.wait()
            if self._closed:
                return False
            self._queue.append(frame)
            self._bytes += size
            self._change.notify_all()
            return True

    def _is_full(self, size: int) -> bool:
        """Whether one more frame of so many bytes is too much."""
        held = len(self._queue)
        return held >= self._size or (held >= _MIN_QUEUE_FRAMES and self._bytes + size > self._memory)


def _never_free(source: FrameSource) -> None:
    """Keep a source for as long as the process lives.

    A thread that is left in a read that stalls still uses the decoder's memory; when Python ends, it would free that
    under the thread's feet, and the process would die of it.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(source))
