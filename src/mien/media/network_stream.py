"""Video from an address, through FFmpeg."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mien.cpus import thread_count
from mien.errors import VideoError
from mien.extras import require_extra
from mien.media.connection import ConnectionLostError, ReceivedFrame
from mien.media.decoding_cost import is_costly_jpeg_packet
from mien.media.demuxer import MAX_FRAME_PIXELS, best_video_stream, codec_name
from mien.media.frame_converter import ROTATIONS, FrameConverter
from mien.media.silence_logs import silence_ffmpeg

SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "tcp", "srt"})
"""What addresses begin with."""
_WITHOUT_CLOCK = re.compile(r"mpjpeg|mjpeg|h264|hevc|.*_pipe|rawvideo")
"""Formats whose timestamps FFmpeg makes up from a nominal rate."""
_BURSTY = frozenset({"hls", "dash"})
"""Formats that send several seconds at once."""
_CONNECT_TIMEOUT = 15.0
"""Seconds that an address has to answer, at least."""


class NetworkStream:
    """An open address, a `Connection`.

    Args:
        address: URL, perhaps with a password; no message shows it.
        stall: seconds without data after which the connection counts as lost.

    Raises:
        ConnectionLostError: no answer, or one without video.
    """

    def __init__(self, address: str, stall: float) -> None:
        require_extra("video", "reading a stream", "av")
        import av
        from av.error import FFmpegError

        self._stall = stall
        self._silence = silence_ffmpeg()
        self._silence.__enter__()
        self._open = True
        self._container: Any = None
        scheme = urlsplit(address).scheme.lower()
        options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
        timeout = max(stall, _CONNECT_TIMEOUT)
        begun = time.monotonic()
        try:
            self._container = av.open(
                address, timeout=(timeout, stall), metadata_errors="replace", container_options=options
            )
            self._stream = best_video_stream(self._container)
            if self._stream is None:
                raise ConnectionLostError("sends no video, only sound or data")
            if self._stream.codec_context is None:
                raise ConnectionLostError("sends a codec that FFmpeg does not decode")
        except FFmpegError as error:
            self.close()
            raise _open_error(error, address, timed_out=time.monotonic() - begun >= timeout) from None
        except ConnectionLostError:
            self.close()
            raise
        context = self._stream.codec_context
        context.thread_type = "SLICE"  # threads that take a frame each would hold some back
        context.thread_count = thread_count(None)
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        self._converter = FrameConverter(self._stream.sample_aspect_ratio, context.color_trc)
        self.codec = codec_name(self._stream)
        rate = self._stream.average_rate
        container_format = self._container.format.name
        self._has_clock = not _WITHOUT_CLOCK.fullmatch(container_format)
        self.rate: float | None = float(rate) if self._has_clock and rate and 0 < rate <= 1000 else None
        self.rotation = 0
        self.has_audio = len(self._container.streams.audio) > 0
        length = self._container.duration
        self.seconds: float | None = length / 1e6 if length and length > 0 else None
        self.bursty = self.seconds is None and container_format.split(",")[0] in _BURSTY

    def frames(self) -> Iterator[ReceivedFrame]:
        """Frames as they arrive, those that the decoder marks as damaged without pixels."""
        from av.error import FFmpegError

        context = self._stream.codec_context
        packets = self._container.demux(self._stream)
        while True:
            begun = time.monotonic()
            lost: ConnectionLostError | None = None
            packet: Any = None
            try:
                packet = next(packets, None)
            except IndexError:
                pass  # at the end, PyAV trips over streams that turned up on the way
            except FFmpegError as error:
                lost = _read_error(error, self._stall, timed_out=time.monotonic() - begun >= self._stall)
            at_end = packet is None or packet.size == 0
            if not at_end and self.codec == "mjpeg" and is_costly_jpeg_packet(bytes(packet)):
                yield ReceivedFrame(None, None)
                continue
            try:
                decoded = context.decode(None if at_end else packet)
            except FFmpegError:
                decoded = []
                if not at_end:
                    yield ReceivedFrame(None, None)
            for frame in decoded:
                yield self._received(frame)
            if lost is not None:
                raise lost
            if at_end:
                return

    def close(self) -> None:
        """Close the connection."""
        if self._open:
            self._open = False
            if self._container is not None:
                self._container.close()
            self._silence.__exit__(None, None, None)

    def _received(self, frame: Any) -> ReceivedFrame:
        if frame.is_corrupt:
            return ReceivedFrame(None, None)
        self.rotation = ROTATIONS[self._converter.orientation(frame)]
        has_timestamp = self._has_clock and frame.pts is not None
        timestamp = float(frame.pts * self._stream.time_base) if has_timestamp else None
        try:
            return ReceivedFrame(self._converter.rgb(frame), timestamp)
        except VideoError as error:
            raise ConnectionLostError(error.reason, advice=error.advice) from None


def _open_error(error: Exception, address: str, *, timed_out: bool) -> ConnectionLostError:
    """Why an address cannot be opened, and what to do."""
    import av.error

    host = urlsplit(address).netloc.rpartition("@")[2]
    if timed_out or isinstance(error, (TimeoutError, av.error.ExitError)):
        return ConnectionLostError(
            f"{host} does not answer", advice="check the address, the network and that the sender is running"
        )
    kinds: tuple[tuple[Any, str, str | None], ...] = (
        (
            av.error.HTTPUnauthorizedError,
            "wants a user name and password",
            "give them as scheme://user:password@host/",
        ),
        (av.error.HTTPForbiddenError, "refuses access (403)", "check the user name, the password or the key"),
        (av.error.HTTPNotFoundError, "has nothing at this path (404)", "check the address"),
        ((av.error.HTTPClientError, av.error.HTTPServerError), "answers with an error", "check the address"),
        (ConnectionRefusedError, f"nothing listens at {host}", "check the address and that the sender is running"),
        (
            (av.error.ProtocolNotFoundError, av.error.DemuxerNotFoundError),
            "this FFmpeg does not speak this protocol",
            None,
        ),
        (av.error.InvalidDataError, "answers, but not with video", None),
    )
    for kind, reason, advice in kinds:
        if isinstance(error, kind):
            return ConnectionLostError(reason, advice=advice)
    cause = getattr(error, "strerror", None) or type(error).__name__
    return ConnectionLostError(f"cannot be opened ({cause})", advice="check the address and the network")


def _read_error(error: Exception, stall: float, *, timed_out: bool) -> ConnectionLostError:
    import av.error

    if timed_out or isinstance(error, (TimeoutError, av.error.ExitError)):
        return ConnectionLostError(f"no picture for {stall:g} s")
    return ConnectionLostError(f"the connection broke ({getattr(error, 'strerror', None) or type(error).__name__})")
