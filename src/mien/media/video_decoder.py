"""A video that a process decodes: its frames arrive through a pipe, and the process can be ended at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.errors import MienError, VideoError, display_path
from mien.extras import require_extra
from mien.logger import get_logger
from mien.media.decoder_process import DecoderEndedError, DecoderProcess, DecodingTimeoutError, describe_end
from mien.media.decoding_cost import VIDEO_COMPLEX
from mien.media.demuxer import MAX_FRAME_PIXELS
from mien.media.frame import Frame
from mien.media.locked_iterator import LockedIterator
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.media.source import FrameSource, SourceInfo, log_problems

logger = get_logger(__name__)

_ENDED = "was not decoded: that was ended"
_MAX_FRAME_BYTES = 16 * 3 * MAX_FRAME_PIXELS
"""Bytes of a frame at most: pixels that are not square are stretched."""


class VideoDecoder:
    """Decodes one video; `kill` ends that at any time and from any thread. A context manager.

    Args:
        take: returns a process, or None where none can be started: then this process decodes.
        give_back: called with the process when it is no longer needed.
        seconds: processor time that each request, and each packet of the video, may take.
    """

    def __init__(
        self,
        take: Callable[[], DecoderProcess | None],
        give_back: Callable[[DecoderProcess], None],
        seconds: float,
    ) -> None:
        self._take, self._give_back, self._seconds = take, give_back, seconds
        self._lock = threading.Lock()
        self._process: DecoderProcess | None = None
        self._in_use = self._killed = False

    def frame_sizes(self, path: Path, containers: str) -> list[tuple[int, int]]:
        """See `mien.media.probe.frame_sizes`.

        Raises:
            VideoError: also where that takes too long, or was ended.
        """
        require_extra("video", "reading a video", "av")
        process = self._ready()
        if process is None:
            from mien.media.probe import frame_sizes

            return frame_sizes(path, containers)
        arguments = {"path": str(path.absolute()), "containers": containers}
        answer = self._call(lambda: process.request("frame_sizes", arguments, seconds=self._seconds, max_bytes=0))[0]
        return [(int(width), int(height)) for width, height in answer["sizes"]]

    def open(self, path: Path, selection: FrameSelection = ALL_FRAMES, *, after: int | None = None) -> FrameSource:
        """Open the video; arguments and errors as of `mien.media.video.open_video`.

        Raises:
            VideoError: also where that takes too long, or was ended.
        """
        require_extra("video", "reading a video", "av")
        process = self._ready() if path.is_file() else None
        if process is None:
            # also where there is no file, which is an error that names this process's folder
            from mien.media.video import open_video

            return open_video(path, selection, after=after)
        arguments = {
            "path": str(path.absolute()),
            "selection": asdict(selection),
            "after": after,
        }
        try:
            answer = self._call(lambda: process.request("video", arguments, seconds=self._seconds, max_bytes=0))[0]
        except MienError as error:
            raise error.with_path(path) from None
        self._in_use = True
        fields = answer["info"] | {"name": display_path(str(path)), "selection": selection}
        return _ProcessVideo(str(path), SourceInfo(**fields), self)

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """What a function that works on the file returns, called by the process.

        Args:
            function: of a module, under its own name.
            arguments: JSON-ready, as is what it returns; a tuple becomes a list.
            seconds: processor time that it may take.

        Raises:
            MienError: what it raises.
            VideoError: it takes too long, or was ended.
        """
        process = self._ready()
        if process is None:
            return function(*arguments)
        request = {"module": function.__module__, "function": function.__name__, "arguments": arguments}
        answer = self._call(lambda: process.request("call", request, seconds=seconds, max_bytes=0))[0]
        if "result" not in answer:
            raise VideoError(_ENDED)
        return answer["result"]

    def next_frame(self) -> tuple[dict[str, Any], Any]:
        """The next answer to `open`: a frame with its pixels, or the end.

        Raises:
            VideoError: it takes too long, or cannot be read any more; a killed one ends.
        """
        process = self._process
        if self._killed or process is None:
            return {"end": True}, None
        while True:
            answer = self._call(lambda: process.next_answer(seconds=self._seconds, max_bytes=_MAX_FRAME_BYTES))
            if "end" in answer[0]:
                self._in_use = False
            if "progress" not in answer[0]:
                return answer

    def kill(self) -> None:
        """End decoding at once."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Give the process back; it ends where it is still decoding."""
        with self._lock:
            process, self._process = self._process, None
            self._killed = True
        if process is not None:
            if self._in_use:
                process.kill()
            self._give_back(process)

    def __enter__(self) -> VideoDecoder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ready(self) -> DecoderProcess | None:
        with self._lock:
            if self._killed:
                raise VideoError(_ENDED)
            if self._process is not None and not self._process.alive:
                self._give_back(self._process)
                self._process = None
            if self._process is None:
                self._process = self._take()
            return self._process

    def _call(self, request: Callable[[], tuple[dict[str, Any], Any]]) -> tuple[dict[str, Any], Any]:
        try:
            return request()
        except (DecodingTimeoutError, DecoderEndedError) as error:
            if self._killed:
                return {"end": True}, None
            reason, details = describe_end(error)
            raise VideoError(reason, advice="convert it to H.264", code=VIDEO_COMPLEX, details=details) from None


class _ProcessVideo:
    """The frames of a `VideoDecoder`, a `mien.media.source.FrameSource`; closing it closes the decoder."""

    def __init__(self, path: str, info: SourceInfo, decoder: VideoDecoder) -> None:
        self.info, self._path, self._decoder = info, path, decoder
        self.lost, self.dropped = 0, 0
        self.problems: tuple[str, ...] = ()
        self._frames = LockedIterator(self._run())

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        self._decoder.kill()
        self._frames.close()
        self._decoder.close()

    def __enter__(self) -> _ProcessVideo:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> Generator[Frame, None, None]:
        try:
            while True:
                try:
                    answer, pixels = self._decoder.next_frame()
                except MienError as error:
                    raise error.with_path(self._path) from None
                self.lost = int(answer.get("lost", self.lost))
                self.problems = tuple(answer.get("problems", self.problems))
                if "end" in answer:
                    return
                yield Frame(pixels, source=self._path, index=int(answer["index"]), time=float(answer["time"]))
        finally:
            log_problems(logger, self)
