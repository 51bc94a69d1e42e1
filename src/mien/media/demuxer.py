"""A video file → its packets in decoding order, with reliable timestamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mien.defaults import FRAME_RATE
from mien.extras import require_extra
from mien.media.decoding_cost import is_costly_jpeg_packet
from mien.media.silence_logs import silence_ffmpeg

if TYPE_CHECKING:
    import av

MAX_FRAME_PIXELS = 1 << 26
"""Pixels that a frame may have: 8K on every side. Larger ones count as frames that cannot be decoded."""
_MAX_STEP_BACK = 1.0
"""Seconds (or 32 frames, if they are longer) by which decoding times may step back before that is a new recording."""
_KEY_MARGIN = 2
"""Frames by which the timestamps of key frames may step back: those of webcams waver."""
_MAX_STEP_AHEAD = 10.0
"""Seconds that may be missing in a broadcast stream before that is a new clock; FFmpeg's own limit."""
_BROADCAST = frozenset({"mpegts", "mpeg"})
_MAX_FAILED_READS = 50
"""Failed reads in a row after which the rest of a file counts as unreadable."""
_LOCAL = {"protocol_whitelist": "file"}
"""A playlist under the name of a video must not make FFmpeg fetch anything."""
_ATTACHED_PICTURE = 0x400
_SHOW_FRAME = 0x10


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """A packet of the video stream.

    Attributes:
        packet: PyAV's.
        number: place in decoding order, from 0.
        pts: timestamp in units of the stream, clock changes taken out; None where the file has none.
        key: whether decoding can start with it.
        visible: whether the decoder should return a picture for it.
        damaged: whether the file holds only a part of it.
    """

    packet: av.Packet[Any]
    number: int
    pts: int | None
    key: bool
    visible: bool
    damaged: bool

    def is_costly(self) -> bool:
        """Whether decoding it may take minutes."""
        return self.packet.stream.codec_context.name == "mjpeg" and is_costly_jpeg_packet(bytes(self.packet))


@dataclass(slots=True)
class ReadStatistics:
    """What has been read of a file so far.

    Attributes:
        packets: of the video stream, each a frame or a field of one.
        last: greatest end of a packet of the video stream, in its units.
        end: greatest end of a packet of any stream, seconds on the container's clock.
        clock_jumps: seconds, on the container's clock, at which the clock changed.
        error: FFmpeg's message of the last of too many failed reads; None where the file was read to its end.
    """

    packets: int = 0
    last: int | None = None
    end: float | None = None
    clock_jumps: list[float] = field(default_factory=list)
    error: str | None = None


class VideoDemuxer:
    """An open video file; a context manager.

    Args:
        path: the file.
        stream: index of the video stream, None to select it.
        stop: when it is set, the packets end.
        on_packet: called with each packet of any stream, which shows that reading continues.

    Attributes:
        container: PyAV's.
        stream: PyAV's video stream, None where there is none.
        stop: as above.
        on_packet: as above.
        statistics: what has been read so far.

    Raises:
        av.error.FFmpegError: FFmpeg cannot open it.
    """

    def __init__(
        self,
        path: str,
        stream: int | None = None,
        stop: Event | None = None,
        on_packet: Callable[[], None] = lambda: None,
    ) -> None:
        require_extra("video", "reading a video", "av")
        import av

        self._silence = silence_ffmpeg()
        self._silence.__enter__()
        try:
            # "file:" because a name may hold a colon, which would make it an address
            self.container = av.open(f"file:{path}", metadata_errors="replace", container_options=_LOCAL)
        except BaseException:
            self._silence.__exit__(None, None, None)
            raise
        self.statistics = ReadStatistics()
        self.stop = stop or Event()
        self.on_packet = on_packet
        self.stream: Any = best_video_stream(self.container) if stream is None else self.container.streams[stream]
        if self.stream is not None and self.stream.codec_context is not None:
            # a damaged header may state any size, and a decoder allocates some pictures before it returns the first
            self.stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}

    def __enter__(self) -> VideoDemuxer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.container.close()
        finally:
            self._silence.__exit__(None, None, None)

    @property
    def start(self) -> Fraction:
        """Seconds on the container's clock at which its first stream starts: picture and sound count from here."""
        own = self.stream.start_time
        exact = None if own is None else own * Fraction(self.stream.time_base or 0)
        start: int | None = self.container.start_time
        if start is None:
            return exact or Fraction(0)
        # the container's is rounded to a microsecond
        rounded = Fraction(start, 1_000_000)
        return exact if exact is not None and abs(exact - rounded) < Fraction(2, 1_000_000) else rounded

    @property
    def rate(self) -> float | None:
        """Nominal frames per second."""
        stream = self.stream
        # where too few frames are known for an average, the others may be the clock's rate instead
        for rate, greatest in ((stream.average_rate, 1000), (stream.guessed_rate, 240), (stream.base_rate, 240)):
            if rate and 0 < rate <= greatest:
                return float(rate)
        return None

    def packets(self) -> Iterator[VideoPacket]:
        """Packets of the video stream to the end of the file, skipping what cannot be read; updates `statistics`."""
        from av.error import FFmpegError

        read, clock = self.statistics, _ContinuousClock(self)
        bases = [float(s.time_base) if s.time_base else 0.0 for s in self.container.streams]
        vp8 = self.stream.codec_context.name == "vp8"
        failures = 0
        packets = self.container.demux()
        while not self.stop.is_set():
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                failures += 1
                if failures > _MAX_FAILED_READS:
                    read.error = error.strerror or type(error).__name__
                    return
                packets = self.container.demux()
                continue
            except IndexError:
                return  # at the end, PyAV trips over streams that turned up on the way
            if packet is None:
                return
            failures = 0
            self.on_packet()
            if packet.size == 0:
                continue  # the signal to flush the decoder, which the caller does
            if packet.pts is not None and packet.stream_index < len(bases):
                end = (packet.pts + (packet.duration or 0)) * bases[packet.stream_index]
                read.end = end if read.end is None else max(read.end, end)
            if packet.stream_index != self.stream.index:
                continue
            pts = clock.continuous_pts(packet)
            number, read.packets = read.packets, read.packets + 1
            if pts is not None:
                last = pts + (packet.duration or 0)
                read.last = last if read.last is None else max(read.last, last)
            # VP8 has frames that exist only to be referred to
            visible = not packet.is_discard and not (vp8 and not bytes(packet)[0] & _SHOW_FRAME)
            damaged = packet.is_corrupt and self.container.format.name not in _BROADCAST
            yield VideoPacket(packet, number, pts, packet.is_keyframe, visible, damaged)


def best_video_stream(container: Any) -> Any:
    """The video stream with the most pixels that can be decoded; one that cannot if there is no other; else None.

    Cover pictures of music do not count as video.
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
    """Timestamps that continue where a recording was joined to another and its clock starts again."""

    def __init__(self, demuxer: VideoDemuxer) -> None:
        self._statistics = demuxer.statistics
        self._base = float(demuxer.stream.time_base or 1)
        frame = 1 / (demuxer.rate or FRAME_RATE)
        self._frame = max(1, round(frame / self._base))
        self._max_back = max(_MAX_STEP_BACK, 32 * frame) / self._base
        broadcast = demuxer.container.format.name in _BROADCAST
        self._max_ahead = _MAX_STEP_AHEAD / self._base if broadcast else float("inf")
        self._shift = 0
        self._last_dts: int | None = None
        self._pts: int | None = None
        self._latest: int | None = None

    def continuous_pts(self, packet: Any) -> int | None:
        """Timestamp of the next packet in decoding order, in units of the stream."""
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is not None:
            step = 0 if self._last_dts is None else dts + self._shift - self._last_dts
            restarted = not -self._max_back <= step <= self._max_ahead or (step < 0 and self._is_earlier_key(packet))
            if self._last_dts is not None and restarted:
                self._shift = self._last_dts + self._frame - dts
                self._statistics.clock_jumps.append((dts + self._shift) * self._base)
            self._last_dts = dts + self._shift
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is not None:
            self._pts = pts + self._shift
        elif self._pts is not None:
            self._pts += self._frame
        if self._pts is not None:
            self._latest = self._pts if self._latest is None else max(self._latest, self._pts)
        return self._pts

    def _is_earlier_key(self, packet: Any) -> bool:
        """Whether a key frame lies before frames that were decoded earlier: another recording begins."""
        if not packet.is_keyframe or packet.pts is None or self._latest is None:
            return False
        return bool(packet.pts + self._shift < self._latest - _KEY_MARGIN * self._frame)
