"""Cameras and streams → frames as they come, over interruptions."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Event

from mien.errors import InputError, VideoError, display_path
from mien.media.camera import Camera
from mien.media.connection import Connection, ConnectionLostError, ReceivedFrame
from mien.media.frame import Frame
from mien.media.locked_iterator import LockedIterator
from mien.media.network_stream import SCHEMES, NetworkStream, without_password
from mien.media.selection import FrameSelection, FrameSelector
from mien.media.source import SourceInfo

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEVICES = "/dev/"
_TOLD = 20
"""Interruptions that get a line of their own."""
_ENDED = "the stream ended"
_TICK = 1e-3
"""Seconds between frames that arrive at once."""
_ASTRAY = 5.0
"""Seconds by which a sender's clock may leave ours before it is set anew; for what comes in lumps, ten times that."""


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """How to go on when a stream ends, breaks or stalls.

    Attributes:
        tries: attempts in a row before giving up; 0 never connects again, None never gives up.
        seconds: give up when no frame has come for so long; None for no such limit.
        first: seconds before the first attempt.
        factor: each wait is so many times the one before.
        longest: seconds at most between attempts.
    """

    tries: int | None = 10
    seconds: float | None = None
    first: float = 0.5
    factor: float = 2.0
    longest: float = 30.0

    def __post_init__(self) -> None:
        if self.tries is not None and self.tries < 0:
            raise InputError(f"tries is at least 0, or None, got {self.tries}")
        if self.first < 0 or self.factor < 1 or self.longest < self.first:
            raise InputError("the waits of a reconnection start at 0 s or more, do not shrink, and end at longest")

    def wait(self, attempt: int) -> float:
        """Seconds before attempt number ``attempt``, from 0."""
        # the exponent is bounded because a float is
        return min(self.longest, self.first * self.factor ** min(attempt, 64))


def open_live(
    where: int | str,
    *,
    stall: float = 10.0,
    reconnect: ReconnectPolicy | None = None,
    every: int = 1,
    fps: float | None = None,
    end: float | None = None,
    size: tuple[int, int] | None = None,
) -> LiveSource:
    """Open a camera or an address.

    ``Frame.time`` is in seconds since the first frame: by the sender's time stamps where it has true ones (RTSP, RTMP,
    MPEG-TS, HLS), so that a jerky network does not show, else by this computer's monotonic clock when the frame
    arrives (cameras, MJPEG). The monotonic clock also tells how long an interruption was. ``Frame.index`` counts the
    frames that arrived. A stream that ends, breaks or stalls is connected again, at growing intervals; every such gap
    is told in `LiveSource.problems`.

    An address whose sender knows the length (a file on a web server) is a recording: it is read to its end at whatever
    speed, and nothing of it is thrown away.

    Put it into a `ReadAhead`: frames that are not fetched in time would pile up between sender and receiver otherwise.

    Args:
        where: number of a camera from 0, or an address such as ``rtsp://user:password@host/path``; the path of a device
            (``/dev/video2``) works as well.
        stall: seconds without a picture after which a stream counts as broken.
        reconnect: how to go on then; by default ten attempts within two and a half minutes.
        every: take every n-th frame.
        fps: take about so many frames a second, by their times.
        end: seconds after which to end.
        size: (width, height) to ask a camera for.

    Raises:
        InputError: an option out of range, or neither a camera nor an address.
        VideoError: no such camera, or nothing at the address.
    """
    if not math.isfinite(stall) or stall <= 0:
        raise InputError(f"stall is a number of seconds above 0, got {stall}")
    choice = FrameSelection(every=every, fps=fps, end=end)
    name, connect = _target(where, stall, size)
    return LiveSource(name, connect, choice, reconnect or ReconnectPolicy())


class LiveSource:
    """An open camera or stream: iterate over it once.

    Attributes:
        info: what the first frame and the sender tell.
        lost: frames so far that could not be decoded.
        dropped: 0: a `ReadAhead` throws frames away, and counts them.
        gaps: interruptions so far.
        gave_up: whether the iteration has ended because no connection could be made any more.
    """

    def __init__(
        self, name: str, connect: Callable[[], Connection], choice: FrameSelection, reconnect: ReconnectPolicy
    ) -> None:
        self._name, self._connect, self._reconnect = name, connect, reconnect
        self._stop = Event()
        self.lost = 0
        self.dropped = 0
        self.gaps = 0
        self.gave_up = False
        self._problems: list[str] = []
        self._arrivals = 0
        try:
            link, (height, width), arrivals = self._linked()
        except ConnectionLostError as error:
            raise VideoError(f"{name}: {error}") from None
        self._link = link
        self.info = SourceInfo(
            name=name,
            width=width,
            height=height,
            rate=link.rate,
            frames=choice.expected(None, link.seconds, link.rate),
            seconds=link.seconds,
            rotation=link.rotation,
            codec=link.codec,
            has_audio=link.has_audio,
            live=link.seconds is None,
        )
        self._clock = _LiveClock(free=not self.info.live)
        self._chooser = FrameSelector(choice, link.rate)
        self._frames = LockedIterator(self._run(arrivals), lambda: self._link.close())

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: interruptions."""
        more = self.gaps - _TOLD
        return (*self._problems, f"and {more:,} more interruptions") if more > 0 else tuple(self._problems)

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come; a second loop goes on where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """Let go of the camera or address; a thread that waits for it does so as soon as it may."""
        self._stop.set()
        self._frames.close()

    def __enter__(self) -> LiveSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _linked(self) -> tuple[Connection, tuple[int, int], Iterator[ReceivedFrame]]:
        """A new link, (height, width) of its first picture, and its pictures from that one on."""
        link = self._connect()
        try:
            pictures = link.pictures()
            for first in pictures:
                if first.rgb is not None:
                    return link, (first.rgb.shape[0], first.rgb.shape[1]), chain([first], pictures)
            raise ConnectionLostError("ends before the first picture")
        except BaseException:
            link.close()
            raise

    def _run(self, arrivals: Iterator[ReceivedFrame]) -> Generator[Frame, None, None]:
        while True:
            try:
                ended = yield from self._until_broken(arrivals)
            finally:
                self._link.close()
            if ended is None or self._stop.is_set():
                return
            if not self.info.live:
                if ended != _ENDED:
                    self._problems.append(f"at {self._clock.last:.1f} s {ended}: the rest of the recording is missing")
                return
            again = self._again(ended)
            if again is None:
                return
            arrivals = again

    def _until_broken(self, arrivals: Iterator[ReceivedFrame]) -> Generator[Frame, None, str | None]:
        """Hand out what arrives; in the end the reason why no more does, None where no more is wanted."""
        try:
            for rgb, stamp in arrivals:
                if self._stop.is_set():
                    return None
                if rgb is None:
                    self.lost += 1
                    continue
                seconds = self._clock.tell(stamp, lumps=self._link.paced)
                if self._link.paced and self._stop.wait(self._clock.early(seconds)):
                    return None
                index, self._arrivals = self._arrivals, self._arrivals + 1
                if self._chooser.over(seconds):
                    return None
                if self._chooser.takes(index, seconds):
                    yield Frame(rgb, source=self._name, index=index, time=seconds)
        except ConnectionLostError as error:
            return str(error)
        return _ENDED

    def _again(self, ended: str) -> Iterator[ReceivedFrame] | None:
        """Connect again; None after giving up."""
        rule, at, since = self._reconnect, self._clock.last, self._clock.arrival
        self.gaps += 1
        why = ""
        attempt = 0
        while not (rule.tries is not None and attempt >= rule.tries):
            if rule.seconds is not None and time.monotonic() - since >= rule.seconds:
                break
            if self._stop.wait(rule.wait(attempt)):
                return None
            attempt += 1
            try:
                self._link, _, arrivals = self._linked()
            except ConnectionLostError as error:
                why = f": {error}"
                continue
            self._clock.restart()
            self._note(f"at {at:.1f} s {ended}; connected again after {time.monotonic() - since:.1f} s")
            return arrivals
        attempts = "1 attempt" if attempt == 1 else f"{attempt} attempts"
        self.gave_up = True
        waited = time.monotonic() - since
        self._note(f"at {at:.1f} s {ended}; given up after {attempts} in {waited:.1f} s{why}", last=True)
        return None

    def _note(self, line: str, *, last: bool = False) -> None:
        if self.gaps <= _TOLD or last:
            self._problems.append(line)


class _LiveClock:
    """Times of the frames: seconds since the first, growing.

    Args:
        free: go by the sender's clock alone, however fast it comes: it is a recording.
    """

    def __init__(self, *, free: bool) -> None:
        self._free = free
        self._zero = self.arrival = time.monotonic()
        self._offset: float | None = None
        self.last = -math.inf

    def restart(self) -> None:
        """The sender's clock has nothing to do with that of before."""
        self._offset = None

    def tell(self, stamp: float | None, *, lumps: bool) -> float:
        """Seconds of a frame that arrives now."""
        self.arrival = time.monotonic()
        if self.last == -math.inf:
            self._zero = self.arrival
        here = there = self.arrival - self._zero
        if stamp is not None:
            if self._offset is None:
                self._offset = here - stamp
            there = stamp + self._offset
            if not self._free and abs(there - here) > _ASTRAY * (10 if lumps else 1):
                self._offset, there = here - stamp, here
        self.last = max(there, self.last + _TICK)
        return self.last

    def early(self, seconds: float) -> float:
        """Seconds until the time of a frame is reached."""
        return max(0.0, self._zero + seconds - time.monotonic())


def _target(where: int | str, stall: float, size: tuple[int, int] | None) -> tuple[str, Callable[[], Connection]]:
    """The name of a camera or address, and how to connect with it."""
    if isinstance(where, str) and where.isdecimal():
        where = int(where)
    if isinstance(where, int):
        if isinstance(where, bool) or where < 0:
            raise InputError(f"cameras are numbered from 0, got {where!r}")
        return f"camera {where}", partial(Camera, where, size)
    if where.startswith(_DEVICES):
        return f"camera {where}", partial(Camera, where, size)
    scheme = _ADDRESS.match(where)
    if scheme is None:
        raise InputError(
            f"{display_path(where)}: is neither the number of a camera nor an address; open_video reads files"
        )
    name = display_path(without_password(where))
    if scheme[1].lower() not in SCHEMES:
        raise InputError(f"{name}: addresses begin with {', '.join(sorted(SCHEMES))}; open_video reads files")
    if size is not None:
        raise InputError(f"{name}: the size is the sender's choice; only a camera can be asked for one")
    return name, partial(NetworkStream, where, stall)
