"""Decoding in processes that can be ended: for files of strangers, and for programs that Ctrl-C must end at once.

A decoder in C cannot be interrupted. Pictures whose header bounds the time that they take are decoded in the calling
thread; all others, and videos, by a small number of processes that are started once and used again. One that passes
its clock or its memory is ended, and the next picture gets a new one.
"""

from __future__ import annotations

import atexit
import io
import os
import threading
import time
from pathlib import Path
from typing import BinaryIO, Literal

from mien.errors import ImageError, MienError
from mien.logger import get_logger
from mien.media.decoder_process import DecoderEndedError, DecoderProcess, DecodingTimeoutError, describe_end
from mien.media.decoding_cost import COMPLEX, max_decoding_seconds
from mien.media.frame import Frame
from mien.media.image import BYTES_NAME, MAX_PIXELS, load_image
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.media.source import FrameSource
from mien.media.video_decoder import VideoDecoder

logger = get_logger(__name__)

CHEAP_SECONDS = 1.0
"""Seconds that a picture may take at most to be decoded in the calling thread."""
_RETRY_SECONDS = 60.0
"""Seconds after which a process is started again where none could be started."""


class DecodingStop:
    """Ends the decoding of one picture; from any thread, and without effect once that has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: DecoderProcess | None = None
        self._stopped = False

    def stop(self) -> None:
        """End it now, or as soon as it begins."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def set_process(self, process: DecoderProcess | None) -> None:
        """The process that decodes the picture, None when it no longer does."""
        with self._lock:
            self._process = process
            if process is not None and self._stopped:
                process.kill()


class DecoderPool:
    """Processes that decode pictures and videos. A context manager; thread-safe.

    A process starts when the first picture needs it. Where none can be started, the calling thread decodes.

    Args:
        processes: pictures that are decoded at once; each open video has a process of its own beside these.
        seconds: processor time that a picture, or the next packet of a video, may take; `wall_seconds` of it in all.
        memory_bytes: bytes of memory that decoding may take in one process, where the system can bound it (Linux).
    """

    def __init__(self, processes: int, *, seconds: float, memory_bytes: int) -> None:
        self._seconds, self._memory_bytes = seconds, memory_bytes
        self._places = threading.Semaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[DecoderProcess] = []
        self._busy: set[DecoderProcess] = set()
        self._closed = False
        self._retry_at = 0.0
        atexit.register(self.close)

    def is_cheap(self, source: str | os.PathLike[str] | bytes) -> bool:
        """Whether the calling thread decodes a picture, because it takes `CHEAP_SECONDS` at most.

        Args:
            source: a path, or the bytes of a file.
        """
        try:
            with io.BytesIO(source) if isinstance(source, bytes) else _open_regular(source) as stream:
                return max_decoding_seconds(stream) <= CHEAP_SECONDS
        except (MienError, OSError):
            return True  # it ends in an error, which `load_image` raises

    def load_image(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        max_pixels: int = MAX_PIXELS,
        reduce: Literal[1, 2, 4, 8] = 1,
        stop: DecodingStop | None = None,
    ) -> Frame:
        """Read one picture; other arguments and errors as of `mien.media.image.load_image`.

        Args:
            source: the path or the bytes of the picture.
            max_pixels: as there.
            reduce: as there.
            stop: can end a process that decodes it.

        Raises:
            ImageError: also a picture that takes longer, or more memory, than is allowed (``code`` is
                "image-too-complex"), that crashes its decoder, or whose decoding was stopped.
        """
        stop = stop or DecodingStop()
        if self.is_cheap(source):
            return load_image(source, max_pixels=max_pixels, reduce=reduce)
        path = None if isinstance(source, bytes) else os.fsdecode(os.fspath(source))
        # this process may change its folder after the other one has started
        arguments = {
            "path": None if path is None else str(Path(path).absolute()),
            "max_pixels": max_pixels,
            "reduce": reduce,
        }
        with self._places:
            process = self._take()
            if process is None:
                return load_image(source, max_pixels=max_pixels, reduce=reduce)
            stop.set_process(process)
            try:
                answer, pixels = process.request(
                    "image",
                    arguments,
                    source if isinstance(source, bytes) else b"",
                    seconds=self._seconds,
                    max_bytes=3 * max_pixels,
                )
            except (DecodingTimeoutError, DecoderEndedError) as error:
                reason, details = describe_end(error)
                raise ImageError(
                    reason,
                    path=path or BYTES_NAME,
                    advice="save it again as an ordinary JPEG or PNG",
                    code=COMPLEX,
                    details=details,
                ) from None
            except MienError as error:
                raise error.with_path(path or BYTES_NAME) from None
            finally:
                stop.set_process(None)
                self._give_back(process)
        full_size = answer["full_size"]
        return Frame(pixels, source=path, full_size=None if full_size is None else (full_size[0], full_size[1]))

    def video(self) -> VideoDecoder:
        """What decodes one video in a process of its own."""
        return VideoDecoder(self._take, self._give_back, self._seconds)

    def open_video(
        self, path: Path, selection: FrameSelection = ALL_FRAMES, *, after: int | None = None
    ) -> FrameSource:
        """Open a video in a process of its own, which is free again when the source is closed.

        Arguments and errors as of `mien.media.video.open_video`.

        Raises:
            VideoError: also where a packet takes longer than is allowed (``code`` is "video-too-complex").
        """
        decoder = self.video()
        try:
            return decoder.open(path, selection, after=after)
        except BaseException:
            decoder.close()
            raise

    def close(self) -> None:
        """End all processes; what they decode ends in an error."""
        with self._lock:
            self._closed = True
            idle, self._idle, busy = self._idle, [], [*self._busy]
        for process in busy:
            process.kill()  # the thread that waits for it releases it
        for process in idle:
            process.close()
        atexit.unregister(self.close)

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _take(self) -> DecoderProcess | None:
        """A process for one request, `_give_back` follows; None where none can be started."""
        with self._lock:
            if self._closed:
                raise ImageError("was not decoded: its decoder is closed")
            if time.monotonic() < self._retry_at:
                return None
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    self._busy.add(process)
                    return process
                process.close()
        try:
            process = DecoderProcess(self._memory_bytes)
        except OSError as error:
            logger.warning("no process can be started, so that decoding cannot be ended: %s", error)
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            return None
        self._add(process)
        return process

    def _add(self, process: DecoderProcess) -> None:
        with self._lock:
            self._busy.add(process)
            if self._closed:
                process.kill()

    def _give_back(self, process: DecoderProcess) -> None:
        with self._lock:
            self._busy.discard(process)
            if process.alive and not self._closed:
                self._idle.append(process)
                return
        process.close()


def _open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, unless it is a pipe or a device, which can be read once only.

    Raises:
        OSError: it is, or it cannot be opened.
    """
    if not Path(path).is_file():
        raise OSError("not a regular file")
    return Path(path).open("rb")
