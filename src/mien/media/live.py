"""Cameras and streams → frames as they arrive, across interruptions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain
from threading import Event
from urllib.parse import urlsplit

from mien.errors import InputError, VideoError, display_path
from mien.logger import get_logger
from mien.media.addresses import scheme_of, without_password
from mien.media.camera import Camera
from mien.media.connection import Connection, ConnectionLostError, ReceivedFrame, ReconnectPolicy
from mien.media.frame import Frame
from mien.media.live_clock import LiveClock
from mien.media.locked_iterator import LockedIterator
from mien.media.network_stream import SCHEMES, NetworkStream
from mien.media.selection import ALL_FRAMES, FrameSelection, FrameSelector
from mien.media.source import SourceInfo

logger = get_logger(__name__)

_DEVICES = "/dev/"
_MAX_LISTED = 20
"""Interruptions that get a line of their own."""
_STREAM_ENDED = "the stream ended"


def open_live(
    where: int | str,
    selection: FrameSelection = ALL_FRAMES,
    *,
    stall: float = 10.0,
    reconnect: ReconnectPolicy | None = None,
    size: tuple[int, int] | None = None,
) -> LiveSource:
    """Open a camera or an address.

    ``Frame.time`` is in seconds since the first frame: by the sender's timestamps where it has true ones (RTSP, RTMP,
    MPEG-TS, HLS), so that a jerky network does not show, else by this computer's monotonic clock when the frame
    arrives (cameras, MJPEG). The monotonic clock also measures how long an interruption was. ``Frame.index`` counts the
    frames that arrived. A stream that ends, stalls or is interrupted is connected again, at growing intervals; every
    such gap is listed in `LiveSource.problems`.

    An address whose sender states the length (a file on a web server) is a recording: it is read to its end at whatever
    speed, and none of it is dropped.

    Put it into a `ReadAhead`: frames that are not fetched in time would pile up between sender and receiver otherwise.

    Args:
        where: number of a camera from 0, or an address such as ``rtsp://user:password@host/path``; the path of a device
            (``/dev/video2``) works as well.
        selection: which frames to take, in seconds since the first frame.
        stall: seconds without a picture after which the connection counts as lost.
        reconnect: when to connect again; by default ten attempts within two and a half minutes.
        size: (width, height) to request from a camera.

    Raises:
        InputError: an option out of range, or neither a camera nor an address.
        VideoError: no such camera, or nothing at the address.
    """
    if not math.isfinite(stall) or stall <= 0:
        raise InputError(f"stall is a number of seconds above 0, got {stall}")
    name, connect = _connector(where, stall, size)
    return LiveSource(name, connect, selection, reconnect or ReconnectPolicy())


def source_name(where: int | str) -> str:
    """A camera or an address as messages and results print it, without a password."""
    if isinstance(where, int) or where.startswith(_DEVICES):
        return f"camera {where}"
    return display_path(without_password(where))


class LiveSource:
    """An open camera or stream, a `mien.media.source.FrameSource`: iterate over it once.

    Args:
        name: what messages and results print.
        connect: opens a connection.
        selection: which frames to take.
        reconnect: when to connect again.

    Attributes:
        info: what the first frame and the sender state.
        lost: frames so far that could not be decoded.
        dropped: 0: a `ReadAhead` drops frames, and counts them.
        gaps: interruptions so far.
        gave_up: whether the iteration has ended because no connection could be made any more.
    """

    def __init__(
        self, name: str, connect: Callable[[], Connection], selection: FrameSelection, reconnect: ReconnectPolicy
    ) -> None:
        self._name, self._connect, self._reconnect = name, connect, reconnect
        self._stop = Event()
        self.lost = 0
        self.dropped = 0
        self.gaps = 0
        self.gave_up = False
        self._problems: list[str] = []
        self._received = 0
        try:
            connection, (height, width), frames = self._open_connection()
        except ConnectionLostError as error:
            raise VideoError(error.reason, path=name, advice=error.advice, code=error.code) from None
        self._connection = connection
        self.info = SourceInfo(
            name=name,
            width=width,
            height=height,
            rate=connection.rate,
            frames=selection.expected_frames(None, connection.seconds, connection.rate),
            seconds=connection.seconds,
            rotation=connection.rotation,
            codec=connection.codec,
            has_audio=connection.has_audio,
            live=connection.seconds is None,
            selection=selection,
        )
        logger.info("%s: connected, %d × %d pixels, %s", name, width, height, connection.codec)
        self._clock = LiveClock(recording=not self.info.live)
        self._selector = FrameSelector(selection, connection.rate)
        self._frames = LockedIterator(self._run(frames), lambda: self._connection.close())

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: interruptions."""
        more = self.gaps - _MAX_LISTED
        return (*self._problems, f"and {more:,} more interruptions") if more > 0 else tuple(self._problems)

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they arrive; a second loop continues where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """Release the camera or address; a thread that is waiting for it does so as soon as it can."""
        self._stop.set()
        self._frames.close()

    def __enter__(self) -> LiveSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _open_connection(self) -> tuple[Connection, tuple[int, int], Iterator[ReceivedFrame]]:
        """A new connection, (height, width) of its first picture, and its frames from that one on."""
        connection = self._connect()
        try:
            frames = connection.frames()
            for first in frames:
                if first.rgb is not None:
                    return connection, (first.rgb.shape[0], first.rgb.shape[1]), chain([first], frames)
            raise ConnectionLostError("ends before the first picture")
        except BaseException:
            connection.close()
            raise

    def _run(self, received: Iterator[ReceivedFrame]) -> Generator[Frame, None, None]:
        while True:
            try:
                reason = yield from self._until_interrupted(received)
            finally:
                self._connection.close()
            if reason is None or self._stop.is_set():
                return
            if not self.info.live:
                if reason != _STREAM_ENDED:
                    line = f"at {self._clock.last:.1f} s {reason}; the rest of the recording is missing"
                    logger.warning("%s: %s", self._name, line)
                    self._problems.append(line)
                return
            frames = self._connect_again(reason)
            if frames is None:
                return
            received = frames

    def _until_interrupted(self, received: Iterator[ReceivedFrame]) -> Generator[Frame, None, str | None]:
        """Yield what arrives; returns the reason why no more does, None where no more is wanted."""
        try:
            for rgb, timestamp in received:
                if self._stop.is_set():
                    return None
                if rgb is None:
                    self.lost += 1
                    logger.info("%s: a frame could not be decoded (%d so far)", self._name, self.lost)
                    continue
                bursty = self._connection.bursty
                seconds = self._clock.stamp_frame(timestamp, bursty=bursty)
                if bursty and self._stop.wait(self._clock.seconds_until(seconds)):
                    return None
                index, self._received = self._received, self._received + 1
                if self._selector.is_past_end(seconds):
                    return None
                if self._selector.selects(index, seconds):
                    yield Frame(rgb, source=self._name, index=index, time=seconds)
        except ConnectionLostError as error:
            return str(error)
        return _STREAM_ENDED

    def _connect_again(self, reason: str) -> Iterator[ReceivedFrame] | None:
        """Frames of a new connection; None after giving up."""
        policy, interrupted, since = self._reconnect, self._clock.last, self._clock.arrival
        self.gaps += 1
        logger.warning("%s: at %.1f s %s", self._name, interrupted, reason)
        last_error = ""
        attempt = 0
        while policy.max_attempts is None or attempt < policy.max_attempts:
            if policy.max_seconds is not None and time.monotonic() - since >= policy.max_seconds:
                break
            if self._stop.wait(policy.wait_before(attempt)):
                return None
            attempt += 1
            try:
                self._connection, _, frames = self._open_connection()
            except ConnectionLostError as error:
                last_error = f": {error}"
                continue
            self._clock.restart()
            waited = time.monotonic() - since
            logger.info("%s: connected again after %.1f s", self._name, waited)
            self._add_problem(f"at {interrupted:.1f} s {reason}; connected again after {waited:.1f} s")
            return frames
        attempts = "1 attempt" if attempt == 1 else f"{attempt} attempts"
        self.gave_up = True
        outcome = f"given up after {attempts} in {time.monotonic() - since:.1f} s{last_error}"
        logger.warning("%s: %s", self._name, outcome)
        self._add_problem(f"at {interrupted:.1f} s {reason}; {outcome}", always=True)
        return None

    def _add_problem(self, line: str, *, always: bool = False) -> None:
        if self.gaps <= _MAX_LISTED or always:
            self._problems.append(line)


def _connector(where: int | str, stall: float, size: tuple[int, int] | None) -> tuple[str, Callable[[], Connection]]:
    """The name of a camera or address, and what opens a connection to it."""
    if isinstance(where, str) and where.isdecimal():
        where = int(where)
    if isinstance(where, int):
        if isinstance(where, bool) or where < 0:
            raise InputError(f"cameras are numbered from 0, got {where!r}")
        return source_name(where), partial(Camera, where, size)
    if where.startswith(_DEVICES):
        return source_name(where), partial(Camera, where, size)
    scheme = scheme_of(where)
    if scheme is None:
        raise InputError(
            "is neither the number of a camera nor an address", path=where, advice="open_video reads files"
        )
    name = source_name(where)
    if scheme not in SCHEMES:
        raise InputError(
            f"addresses begin with {', '.join(sorted(SCHEMES))}", path=name, advice="open_video reads files"
        )
    try:
        urlsplit(where)
    except ValueError as error:
        raise InputError(f"is not a valid address: {error}", path=name) from None
    if size is not None:
        raise InputError("the sender determines the size; only a camera can be asked for one", path=name)
    return name, partial(NetworkStream, where, stall)
