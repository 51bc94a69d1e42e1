"""Video from an address, through FFmpeg."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mien.cpus import thread_count
from mien.errors import VideoError
from mien.media.connection import ConnectionLostError, ReceivedFrame
from mien.media.demuxer import MAX_FRAME_PIXELS, best_video_stream, codec_name
from mien.media.frame_converter import FrameConverter
from mien.media.silence_logs import silence_ffmpeg

SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "tcp", "srt"})
"""What addresses begin with."""
_NO_CLOCK = re.compile(r"mpjpeg|mjpeg|h264|hevc|.*_pipe|rawvideo")
"""Formats whose time stamps FFmpeg makes up from a nominal rate."""
_LUMPS = frozenset({"hls", "dash"})
"""Formats that send some seconds at once."""
_CONNECT = 15.0
"""Seconds that an address has to answer, at least."""


class NetworkStream:
    """An open address, a `Connection`.

    Args:
        address: URL, perhaps with a password; no message shows it.
        stall: seconds without data after which the link counts as broken.

    Raises:
        BrokenError: nothing answers, or not with video.
    """

    def __init__(self, address: str, stall: float) -> None:
        import av
        from av.error import FFmpegError

        self._stall = stall
        self._quiet = silence_ffmpeg()
        self._quiet.__enter__()
        self._open = True
        self._container: Any = None
        scheme = urlsplit(address).scheme.lower()
        options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
        wait = max(stall, _CONNECT)
        begun = time.monotonic()
        try:
            self._container = av.open(
                address, timeout=(wait, stall), metadata_errors="replace", container_options=options
            )
            self._stream = best_video_stream(self._container)
            if self._stream is None:
                raise ConnectionLostError("sends no video, only sound or data")
            if self._stream.codec_context is None:
                raise ConnectionLostError("sends a codec that FFmpeg does not decode")
        except FFmpegError as error:
            self.close()
            raise ConnectionLostError(_reason(error, address, time.monotonic() - begun >= wait)) from None
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
        form = self._container.format.name
        self._clock = not _NO_CLOCK.fullmatch(form)
        self.rate: float | None = float(rate) if self._clock and rate and 0 < rate <= 1000 else None
        self.rotation = 0
        self.has_audio = len(self._container.streams.audio) > 0
        length = self._container.duration
        self.seconds: float | None = length / 1e6 if length and length > 0 else None
        self.paced = self.seconds is None and form.split(",")[0] in _LUMPS

    def pictures(self) -> Iterator[ReceivedFrame]:
        """Pictures as they come, those that the decoder marks as damaged left out."""
        from av.error import FFmpegError

        context = self._stream.codec_context
        packets = self._container.demux(self._stream)
        while True:
            begun = time.monotonic()
            broken: str | None = None
            packet: Any = None
            try:
                packet = next(packets, None)
            except IndexError:
                pass  # at the end, PyAV trips over streams that turned up on the way
            except FFmpegError as error:
                broken = _broken(error, time.monotonic() - begun >= self._stall, self._stall)
            over = packet is None or packet.size == 0
            try:
                frames = context.decode(None if over else packet)
            except FFmpegError:
                frames = []
                if not over:
                    yield ReceivedFrame(None, None)
            for frame in frames:
                yield self._arrived(frame)
            if broken is not None:
                raise ConnectionLostError(broken)
            if over:
                return

    def close(self) -> None:
        """Close the connection."""
        if self._open:
            self._open = False
            if self._container is not None:
                self._container.close()
            self._quiet.__exit__(None, None, None)

    def _arrived(self, frame: Any) -> ReceivedFrame:
        if frame.is_corrupt:
            return ReceivedFrame(None, None)
        self.rotation = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(self._converter.orientation(frame), 0)
        stamp = float(frame.pts * self._stream.time_base) if self._clock and frame.pts is not None else None
        try:
            return ReceivedFrame(self._converter.rgb(frame), stamp)
        except VideoError as error:
            raise ConnectionLostError(str(error)) from None


def without_password(address: str) -> str:
    """An address as messages print it: no password, and no query, which may hold a key."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    shown = f"{parts.scheme}://{user + '@' if user else ''}{host}{parts.path}"
    return shown + ("?…" if parts.query else "")


def _reason(error: Exception, address: str, waited: bool) -> str:
    """Why an address cannot be opened, and what to do."""
    import av.error

    host = urlsplit(address).netloc.rpartition("@")[2]
    if waited or isinstance(error, (TimeoutError, av.error.ExitError)):
        return f"{host} does not answer: check the address, the network and that the sender is running"
    for kinds, reason in (
        (av.error.HTTPUnauthorizedError, "wants a user name and password: give them as scheme://user:password@host/"),
        (av.error.HTTPForbiddenError, "refuses access (403): check the user name, the password or the key"),
        (av.error.HTTPNotFoundError, "has nothing at this path (404): check the address"),
        ((av.error.HTTPClientError, av.error.HTTPServerError), "answers with an error: check the address"),
        (ConnectionRefusedError, f"nothing listens at {host}: check the address and that the sender is running"),
        ((av.error.ProtocolNotFoundError, av.error.DemuxerNotFoundError), "this FFmpeg does not speak this protocol"),
        (av.error.InvalidDataError, "answers, but not with video"),
    ):
        if isinstance(error, kinds):
            return reason
    said = getattr(error, "strerror", None) or type(error).__name__
    return f"cannot be opened ({said}): check the address and the network"


def _broken(error: Exception, waited: bool, stall: float) -> str:
    import av.error

    if waited or isinstance(error, (TimeoutError, av.error.ExitError)):
        return f"no picture for {stall:g} s"
    return f"the connection broke ({getattr(error, 'strerror', None) or type(error).__name__})"
