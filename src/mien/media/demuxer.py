"""A video file → its packets in decoding order, with time stamps that can be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mien.media.silence_logs import silence_ffmpeg

if TYPE_CHECKING:
    import av

_JUMP_BACK = 1.0
"""Seconds (or 32 frames, if they are longer) by which decoding times may step back before that is a new recording."""
_JUMP_AHEAD = 10.0
"""Seconds that may be missing in a broadcast stream before that is a new clock; FFmpeg's own limit."""
_BROADCAST = frozenset({"mpegts", "mpeg"})
_GIVE_UP = 50
"""Failed reads in a row after which the rest of a file counts as unreadable."""
_ATTACHED_PICTURE = 0x400
_SHOW_FRAME = 0x10


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """A packet of the video stream.

    Attributes:
        packet: PyAV's.
        number: place in decoding order, from 0.
        pts: time stamp in units of the stream, clock changes taken out; None where the file has none.
        key: whether decoding can start with it.
        shown: whether a picture is to come of it.
        damaged: whether the file holds only a part of it.
    """

    packet: av.Packet[Any]
    number: int
    pts: int | None
    key: bool
    shown: bool
    damaged: bool


@dataclass(slots=True)
class ReadStatistics:
    """What reading a file has shown so far.

    Attributes:
        packets: of the video stream, each a frame or a field of one.
        last: greatest end of a packet of the video stream, in its units.
        end: greatest end of a packet of any stream, seconds on the container's clock.
        jumps: seconds, on the container's clock, at which the clock changed.
        failed: what the last of too many failed reads said; None where the file was read to its end.
    """

    packets: int = 0
    last: int | None = None
    end: float | None = None
    jumps: list[float] = field(default_factory=list)
    failed: str | None = None


class VideoDemuxer:
    """An open video file; a context manager.

    Args:
        path: the file.
        stream: index of the video stream, None to choose it.
        stop: when it is set, the packets end.

    Raises:
        av.error.FFmpegError: FFmpeg cannot open it.
    """

    def __init__(self, path: str, stream: int | None = None, stop: Event | None = None) -> None:
        import av

        self._quiet = silence_ffmpeg()
        self._quiet.__enter__()
        try:
            # "file:" because a name may hold a colon, which would make it an address
            self.container = av.open(f"file:{path}", metadata_errors="replace", container_options=_LOCAL)
        except BaseException:
            self._quiet.__exit__(None, None, None)
            raise
        self.account = ReadStatistics()
        self.stop = stop or Event()
        self.stream: Any = best_video_stream(self.container) if stream is None else self.container.streams[stream]
        if self.stream is not None and self.stream.codec_context is not None:
            # a damaged head may state any size, and a decoder takes memory for some pictures before it gives the first
            self.stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}

    def __enter__(self) -> VideoDemuxer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.container.close()
        finally:
            self._quiet.__exit__(None, None, None)

    @property
    def start(self) -> Fraction:
        """Seconds on the container's clock at which its first stream starts: picture and sound count from here."""
        own = self.stream.start_time
        exact = None if own is None else own * Fraction(self.stream.time_base or 0)
        begin: int | None = self.container.start_time
        if begin is None:
            return exact or Fraction(0)
        # the container's is rounded to a microsecond
        whole = Fraction(begin, 1_000_000)
        return exact if exact is not None and abs(exact - whole) < Fraction(2, 1_000_000) else whole

    @property
    def rate(self) -> float | None:
        """Nominal frames a second."""
        stream = self.stream
        # where too few frames are known for an average, the others may be the clock's rate instead
        for rate, greatest in ((stream.average_rate, 1000), (stream.guessed_rate, 240), (stream.base_rate, 240)):
            if rate and 0 < rate <= greatest:
                return float(rate)
        return None

    def packets(self) -> Iterator[VideoPacket]:
        """Packets of the video stream to the end of the file, over places that cannot be read; `account` is kept."""
        from av.error import FFmpegError

        account, clock = self.account, _ContinuousClock(self)
        bases = [float(s.time_base) if s.time_base else 0.0 for s in self.container.streams]
        vp8 = self.stream.codec_context.name == "vp8"
        failures = 0
        reading = self.container.demux()
        while not self.stop.is_set():
            try:
                packet = next(reading, None)
            except FFmpegError as error:
                failures += 1
                if failures > _GIVE_UP:
                    account.failed = error.strerror or type(error).__name__
                    return
                reading = self.container.demux()
                continue
            except IndexError:
                return  # at the end, PyAV trips over streams that turned up on the way
            if packet is None:
                return
            failures = 0
            if packet.size == 0:
                continue  # the sign to flush the decoders, which is the caller's business
            if packet.pts is not None and packet.stream_index < len(bases):
                end = (packet.pts + (packet.duration or 0)) * bases[packet.stream_index]
                account.end = end if account.end is None else max(account.end, end)
            if packet.stream_index != self.stream.index:
                continue
            pts = clock.repaired(packet)
            number, account.packets = account.packets, account.packets + 1
            if pts is not None:
                last = pts + (packet.duration or 0)
                account.last = last if account.last is None else max(account.last, last)
            # VP8 has frames that are only there to be referred to
            shown = not packet.is_discard and not (vp8 and not bytes(packet)[0] & _SHOW_FRAME)
            damaged = packet.is_corrupt and self.container.format.name not in _BROADCAST
            yield VideoPacket(packet, number, pts, packet.is_keyframe, shown, damaged)


MAX_FRAME_PIXELS = 1 << 26
"""Pixels that a frame may have: 8K on every side. Larger ones count as frames that cannot be decoded."""
_LOCAL = {"protocol_whitelist": "file"}
"""A playlist under the name of a video must not make FFmpeg fetch anything."""


def best_video_stream(container: Any) -> Any:
    """The video stream with the most pixels that can be decoded; one that cannot if there is no other; else None.

    Cover pictures of music are no video.
    """
    videos = [s for s in container.streams.video if not _is_cover(s)]
    able = [s for s in videos if s.codec_context is not None]
    if able:
        return max(able, key=lambda s: (s.codec_context.width or 0) * (s.codec_context.height or 0))
    return videos[0] if videos else None


def codec_name(stream: Any) -> str:
    """Short name of the codec, whatever library decodes it."""
    name = str(stream.codec_context.codec.name)
    return {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(name, name)


def _is_cover(stream: Any) -> bool:
    disposition = stream.disposition
    return bool(int(getattr(disposition, "value", disposition)) & _ATTACHED_PICTURE)


class _ContinuousClock:
    """Time stamps that go on where a recording was joined to another and its clock starts anew."""

    def __init__(self, opened: VideoDemuxer) -> None:
        self._account = opened.account
        self._base = float(opened.stream.time_base or 1)
        frame = 1 / (opened.rate or 25.0)
        self._frame = max(1, round(frame / self._base))
        self._back = max(_JUMP_BACK, 32 * frame) / self._base
        broadcast = opened.container.format.name in _BROADCAST
        self._ahead = _JUMP_AHEAD / self._base if broadcast else float("inf")
        self._shift = 0
        self._last: int | None = None
        self._stamp: int | None = None

    def repaired(self, packet: Any) -> int | None:
        decoding = packet.dts if packet.dts is not None else packet.pts
        if decoding is not None:
            if self._last is not None and not -self._back <= decoding + self._shift - self._last <= self._ahead:
                self._shift = self._last + self._frame - decoding
                self._account.jumps.append((decoding + self._shift) * self._base)
            self._last = decoding + self._shift
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._stamp = stamp + self._shift
        elif self._stamp is not None:
            self._stamp += self._frame
        return self._stamp
