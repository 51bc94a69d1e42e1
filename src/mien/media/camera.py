"""Cameras of this computer, through FFmpeg's input devices: v4l2 on Linux, avfoundation on macOS, dshow on Windows."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.errors import VideoError
from mien.extras import require_extra
from mien.media.connection import ConnectionLostError, ReceivedFrame
from mien.media.demuxer import MAX_FRAME_PIXELS, best_video_stream
from mien.media.frame_converter import FrameConverter
from mien.media.silence_logs import silence_ffmpeg

_MAX_FAILED_READS = 5
"""Frames in a row that cannot be decoded before a camera counts as gone; some fail once while they warm up."""


class Camera:
    """An open camera, a `Connection`.

    Args:
        where: number of the camera from 0, or the path of its device.
        size: (width, height) to request; the camera uses the nearest that it can, or its own.

    Raises:
        ConnectionLostError: there is no such camera, it may not be used, or it returns no picture.
        MissingExtraError: PyAV is not installed.
    """

    codec: str = "camera"
    rotation: int = 0
    has_audio: bool = False
    seconds: float | None = None
    bursty: bool = False

    def __init__(self, where: int | str, size: tuple[int, int] | None = None) -> None:
        require_extra("video", "reading a camera", "av")
        self._container: Any = None
        self._silence = silence_ffmpeg()
        self._silence.__enter__()
        self._open = True
        wanted = {} if size is None else {"video_size": f"{size[0]}x{size[1]}"}
        try:
            self._container = _open_device(where, wanted)
            self._stream = best_video_stream(self._container)
            if self._stream is None or self._stream.codec_context is None:
                raise _open_error(where)
        except ConnectionLostError:
            self.close()
            raise
        context = self._stream.codec_context
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        self._converter = FrameConverter(self._stream.sample_aspect_ratio, context.color_trc)
        rate = self._stream.average_rate
        self.rate: float | None = float(rate) if rate and 0 < rate <= 1000 else None

    def frames(self) -> Iterator[ReceivedFrame]:
        """Frames as the camera returns them, without timestamps: it has no clock that can be used."""
        from av.error import FFmpegError

        context, failed = self._stream.codec_context, 0
        packets = self._container.demux(self._stream)
        while failed < _MAX_FAILED_READS:
            try:
                packet = next(packets, None)
                if packet is None or packet.size == 0:
                    break
                for frame in context.decode(packet):
                    failed = 0
                    yield ReceivedFrame(self._converter.rgb(frame), None)
            except (FFmpegError, VideoError):
                failed += 1
        raise ConnectionLostError(
            "the camera returns no picture any more", advice="is it unplugged, or did another program take it?"
        )

    def close(self) -> None:
        """Release the camera for other programs."""
        if self._open:
            self._open = False
            if self._container is not None:
                self._container.close()
            self._silence.__exit__(None, None, None)


def _open_device(where: int | str, wanted: dict[str, str]) -> Any:
    """The open container of a camera; where it does not take a size, with its own."""
    import av
    from av.error import FFmpegError

    for options in (wanted, {}) if wanted else ({},):
        try:
            address, form = _device(where)
            return av.open(address, format=form, options=options)
        except (FFmpegError, OSError, ValueError):
            continue
    raise _open_error(where)


def _device(where: int | str) -> tuple[str, str]:
    """A camera's address for FFmpeg, and the name of the input device that reads it."""
    system = platform.system()
    if system == "Windows":
        if isinstance(where, int):
            import av

            found = [each for each in av.enumerate_input_devices("dshow") if "video" in each.media_types]
            if where >= len(found):
                raise ValueError(f"{len(found)} cameras")
            where = found[where].name
        return f"video={where}", "dshow"
    if system == "Darwin":
        return f"{where}:none", "avfoundation"
    return f"/dev/video{where}" if isinstance(where, int) else where, "video4linux2,v4l2"


def _open_error(where: int | str) -> ConnectionLostError:
    """Why a camera cannot be opened, as far as the system reports it, and what to do."""
    system = platform.system()
    if system == "Linux":
        device = Path(f"/dev/video{where}") if isinstance(where, int) else Path(where)
        if not device.exists():
            others = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
            there = f"there are {', '.join(others)}" if others else "this computer, or container, sees no camera at all"
            return ConnectionLostError(
                f"is not there: {there}", advice="plug it in, or give the number of another one or an address"
            )
        if not os.access(device, os.R_OK | os.W_OK):
            return ConnectionLostError(
                f"{device} may not be used", advice="'sudo usermod -aG video $USER', then log in again"
            )
        return ConnectionLostError(
            f"{device} returns no pictures", advice="close other programs that use it, or try the next number"
        )
    settings = {
        "Darwin": "System Settings → Privacy & Security → Camera",
        "Windows": "Settings → Privacy & security → Camera",
    }.get(system, "the system's settings")
    return ConnectionLostError(
        "cannot be opened",
        advice=f"plug it in, close other programs that use it, and allow this one to use cameras in {settings}",
    )
