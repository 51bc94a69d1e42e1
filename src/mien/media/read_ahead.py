"""A source read ahead by a thread, through a bounded queue."""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections import deque
from collections.abc import Callable, Iterator

from mien.errors import InputError
from mien.logger import get_logger
from mien.media.frame import Frame
from mien.media.source import FrameSource, SourceInfo

logger = get_logger(__name__)

QUEUE_FRAMES, LIVE_QUEUE_FRAMES = 16, 2
"""Frames read ahead of a file, and of a live source, where each adds latency."""
QUEUE_BYTES = 256 << 20
"""Bytes of pixels in the queue."""
_MIN_QUEUE_FRAMES = 2
"""Frames in the queue however large they are, so that reading and analysis overlap."""
_CLOSE_TIMEOUT = 2.0
"""Seconds that closing waits for a read that stalls; after that the thread ends on its own."""
_POLL_INTERVAL = 0.2
"""Seconds between checks for signals, and of `watch`, while waiting: on some systems only a wait that ends handles
Ctrl-C."""


class ReadAhead:
    """A source that a thread reads ahead, itself a `mien.media.source.FrameSource`.

    The thread starts with the iteration and ends with `close`. A file waits when the queue is full, so that no frame is
    lost. Of a live source the oldest frame is dropped and counted, so that a returned frame is never older than the
    queue is long. An error of the source is raised in the iteration after the frames that came before it.

    Args:
        source: what to read; it is closed with this.
        max_frames: frames in the queue at most; by default 16 of a file and 2 of a live source.
        drop_oldest: drop the oldest frame instead of waiting; by default for live sources.
        max_bytes: bytes of pixels in the queue at most, but at least two frames.

    Raises:
        InputError: ``max_frames`` below 1.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        max_frames: int | None = None,
        drop_oldest: bool | None = None,
        max_bytes: int = QUEUE_BYTES,
    ) -> None:
        if max_frames is not None and max_frames < 1:
            raise InputError(f"max_frames is at least 1, got {max_frames}")
        self._source = source
        self._drop_oldest = source.info.live if drop_oldest is None else drop_oldest
        self._max_frames = max_frames or (LIVE_QUEUE_FRAMES if self._drop_oldest else QUEUE_FRAMES)
        self._max_bytes = max_bytes
        self._queue: deque[Frame] = deque()
        self._bytes = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._at_end = self._full = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._cancel: threading.Event | None = None
        self._on_wait: Callable[[], object] | None = None

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
        """Frames that the source or the queue has dropped."""
        return self._source.dropped + self._dropped

    @property
    def problems(self) -> tuple[str, ...]:
        """The source's."""
        return self._source.problems

    def __iter__(self) -> Iterator[Frame]:
        """The frames; a second loop continues where the first one stopped."""
        self._start()
        while (frame := self._take()) is not None:
            yield frame

    def watch(self, cancel: threading.Event | None, on_wait: Callable[[], object] | None = None) -> None:
        """Set what happens while the iteration waits for a frame, about five times per second.

        Args:
            cancel: the iteration ends once it is set; None for never.
            on_wait: called by the thread that waits; None for nothing.
        """
        self._cancel, self._on_wait = cancel, on_wait

    def wait(self, frames: int) -> None:
        """Start reading, and wait until so many frames are in the queue, it is full, or there are no more."""
        self._start()
        with self._changed:
            while len(self._queue) < frames and not (self._full or self._at_end or self._closed or self._is_cancelled):
                self._changed.wait(_POLL_INTERVAL)

    def close(self) -> None:
        """Stop reading and empty the queue; never waits long, even where the source does not respond."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._queue.clear()
            self._bytes = 0
            self._changed.notify_all()
        self._source.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_TIMEOUT)
            if self._thread.is_alive():
                _keep_forever(self._source)
        atexit.unregister(self.close)
        if first and self._dropped:
            logger.info("%s: %d frames were not fetched in time and dropped", self.info.name, self._dropped)

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def _is_cancelled(self) -> bool:
        return self._cancel is not None and self._cancel.is_set()

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._fill, name=f"mien {self.info.name}", daemon=True)
            atexit.register(self.close)
            self._thread.start()

    def _take(self) -> Frame | None:
        while True:
            with self._changed:
                if not self._is_ready:
                    self._changed.wait(_POLL_INTERVAL)
                if self._is_cancelled:
                    return None
                if self._queue:
                    frame = self._queue.popleft()
                    self._bytes -= frame.rgb.nbytes
                    self._full = False  # as long as the thread that reads does not find that there is still no room
                    self._changed.notify_all()
                    return frame
                if self._is_ready:
                    error, self._error = self._error, None
                    break
            if self._on_wait is not None:
                self._on_wait()
        if error is not None and not self._closed:
            raise error
        return None

    @property
    def _is_ready(self) -> bool:
        """Whether there is nothing to wait for."""
        return bool(self._queue) or self._at_end or self._closed or self._is_cancelled

    def _fill(self) -> None:
        try:
            for frame in self._source:
                if not self._put(frame):
                    return
        except BaseException as error:  # whatever it is, the thread that iterates over the frames must raise it
            self._error = error
        finally:
            self._source.close()
            with self._changed:
                self._at_end = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        size = frame.rgb.nbytes
        with self._changed:
            while self._is_full(size) and not self._closed:
                if self._drop_oldest:
                    self._bytes -= self._queue.popleft().rgb.nbytes
                    self._dropped += 1
                else:
                    self._full = True
                    self._changed.notify_all()
                    self._changed.wait()
            self._full = False
            if self._closed:
                return False
            self._queue.append(frame)
            self._bytes += size
            self._changed.notify_all()
            return True

    def _is_full(self, size: int) -> bool:
        """Whether one more frame of so many bytes is too much."""
        held = len(self._queue)
        return held >= self._max_frames or (held >= _MIN_QUEUE_FRAMES and self._bytes + size > self._max_bytes)


def _keep_forever(source: FrameSource) -> None:
    """Keep a source for as long as the process lives.

    A thread in a read that stalls still uses the decoder's memory; when Python ends, it would free that memory while
    the thread uses it, and the process would crash.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(source))
