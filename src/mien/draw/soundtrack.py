"""The sound of a video between two times, copied or encoded as AAC, for the annotated copy of its frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av
    from typing_extensions import Self

COPIED = ("aac", "mp3", "opus", "ac3", "eac3")
"""Codecs that MP4 players support."""
_AAC_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
_BITS = 96_000
"""Bits per second and channel of encoded sound."""
_GAP = 0.05
"""Seconds by which sound may be off before silence is inserted, or sound dropped, to follow the frames."""


class Soundtrack:
    """Iterates over the packets of the sound, with time stamps relative to ``start``; a context manager.

    Its construction adds a stream to the output, unless the original has no sound or cannot be read.

    Attributes:
        stream: the stream that it added to the output, None without sound.
        copied: whether packets are copied.
        problems: problems with the sound, one line each.
    """

    def __init__(
        self,
        original: str | os.PathLike[str],
        output: av.container.OutputContainer,
        start: float,
        end: float,
        *,
        copy: bool = True,
    ) -> None:
        """Open the sound of ``original``.

        Args:
            original: a video file.
            output: the container that the packets are written to.
            start: time of the first frame in the original, seconds.
            end: end of the last frame in the original, seconds.
            copy: copy packets where MP4 can hold them.
        """
        import av
        from av.error import FFmpegError

        self.stream: Any = None
        self.copied = False
        self.problems: tuple[str, ...] = ()
        self._file = Path(original)
        self._source: Any = None
        if not self._file.is_file():
            return  # numbered pictures, a camera
        try:
            # "file:" because a name may hold a colon, which would make it an address
            self._source = av.open(f"file:{self._file}", metadata_errors="replace")
            if not self._source.streams.audio:
                return
            self._track = self._source.streams.best("audio") or self._source.streams.audio[0]
            # frames and sound count from the start of the file's first stream
            self._begin, self._seconds = start + (self._source.start_time or 0) / 1_000_000, end - start
            codec = self._track.codec_context
            self.copied = copy and codec.codec.canonical_name in COPIED
            if self.copied:
                self.stream = output.add_stream_from_template(self._track)
            else:
                self._rate = next((rate for rate in _AAC_RATES if rate <= codec.sample_rate), _AAC_RATES[-1])
                self._layout = "mono" if codec.channels == 1 else "stereo"
                self.stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
                self.stream.bit_rate = _BITS * (1 if codec.channels == 1 else 2)
        except (FFmpegError, OSError, ValueError) as error:
            self._add_problem(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._source is not None:
            self._source.close()

    def __iter__(self) -> Iterator[Any]:
        from av.error import FFmpegError

        if self.stream is None:
            return
        try:
            yield from self._copy() if self.copied else self._encode()
        except (FFmpegError, OSError, ValueError) as error:
            self._add_problem(error)

    def _add_problem(self, error: Exception) -> None:
        name = self._file.name.encode("utf-8", "backslashreplace").decode("utf-8")
        reason = getattr(error, "strerror", None) or str(error)
        self.problems = (*self.problems, f"{name}: the sound could not be copied: {reason}")

    def _packets(self) -> Iterator[tuple[float, Any]]:
        """The packets that overlap the time between start and end, and their times relative to the start."""
        if self._begin > 1.0:
            self._source.seek(int((self._begin - 1.0) * 1_000_000), backward=True)
        for packet in self._source.demux(self._track):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or not packet.size:
                continue
            time = float(stamp * packet.time_base) - self._begin
            if time >= self._seconds:
                return
            if time >= 0 or time + float((packet.duration or 0) * packet.time_base) > 0:
                yield time, packet

    def _copy(self) -> Iterator[Any]:
        # some containers count time in whole packets, which is too coarse to start anywhere
        rate = self._track.codec_context.sample_rate or 48_000
        last: int | None = None
        for time, packet in self._packets():
            stamp = round(time * rate)
            if last is not None and stamp <= last:
                continue  # MP4 needs increasing time stamps
            duration = round((packet.duration or 0) * packet.time_base * rate)
            packet.stream, packet.time_base = self.stream, Fraction(1, rate)
            packet.pts = packet.dts = last = stamp
            packet.duration = duration
            yield packet

    def _encode(self) -> Iterator[Any]:
        import av

        written = 0
        for sound in self._sound():
            frame = av.AudioFrame.from_ndarray(sound, "fltp", self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._rate, written, Fraction(1, self._rate)
            written += sound.shape[1]
            yield from self.stream.encode(frame)
        yield from self.stream.encode(None)

    def _sound(self) -> Iterator[Any]:
        """``(channels, n)`` float32 samples from the start on, without gaps."""
        from av.audio.resampler import AudioResampler
        from av.error import FFmpegError

        resampler = AudioResampler("fltp", self._layout, self._rate)
        length = round(self._seconds * self._rate)
        slack = round(_GAP * self._rate)
        written = damaged = 0
        for _, packet in self._packets():
            try:
                decoded = packet.decode()
            except FFmpegError:
                damaged += 1
                continue
            for piece in decoded:
                for frame in resampler.resample(piece):
                    samples: Any = frame.to_ndarray()
                    at = written if frame.time is None else round((frame.time - self._begin) * self._rate)
                    if at > written + (slack if written else 0):
                        gap = min(at, length) - written
                        yield np.zeros((samples.shape[0], gap), np.float32)
                        written += gap
                    elif at < written - slack or (not written and at < 0):
                        samples = samples[:, written - at :]
                    samples = np.ascontiguousarray(samples[:, : length - written])
                    if samples.shape[1]:
                        yield samples
                        written += samples.shape[1]
        if damaged:
            self._add_problem(ValueError(f"{damaged} damaged packets are silent"))
