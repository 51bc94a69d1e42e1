"""One part of an annotated video: H.264 in MP4, under a hidden name until it is complete."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutputError
from mien.extras import require_extra
from mien.files import output_errors, sync

TICKS = 90_000
"""Ticks per second: whole numbers for the frame rates of film, PAL and NTSC, and fine enough for any other."""
_KEYFRAME_INTERVAL = 150
"""Greatest distance of keyframes, frames."""
_BT709, _LIMITED = 1, 1


class EncodedPart:
    """Encodes one part.

    Attributes:
        frames: number of frames so far.
    """

    def __init__(self, path: Path, size: tuple[int, int], start: int, options: dict[str, str]) -> None:
        """Start a part.

        Args:
            path: file of the part.
            size: (width, height) of the frames.
            start: time stamp of the first frame, ticks.
            options: of the encoder.

        Raises:
            OutputError: this build of PyAV has no H.264 encoder.
        """
        require_extra("video", "writing a video", "av")
        import av
        from av.video.reformatter import VideoReformatter

        self._path, self._start = path, start
        self._hidden = path.with_name(f".{path.name}")
        self._reformatter = VideoReformatter()
        self.frames = 0
        if "libx264" not in av.codecs_available:
            raise OutputError(
                "this build of PyAV has no H.264 encoder", path=path, advice="install its wheel: pip install av"
            )
        # fragments: a part that is not complete because the machine stopped is still playable
        fragments = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
        self._output = av.open(f"file:{self._hidden}", "w", format="mp4", options=fragments)
        # without B-frames packets are in the order of time, so parts can be truncated and joined anywhere
        stream = self._output.add_stream(
            "libx264", rate=30, options=options | {"bf": "0", "g": str(_KEYFRAME_INTERVAL)}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._stream = stream

    def write(self, rgb: NDArray[np.uint8], ticks: int) -> None:
        """Add an RGB uint8 ``(h, w, 3)`` frame at this time stamp, ticks."""
        import av
        from av.video.reformatter import ColorRange, Colorspace

        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(rgb, "rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = ticks - self._start, Fraction(1, TICKS)
        self._output.mux(self._stream.encode(frame))
        self.frames += 1

    def finish(self) -> None:
        """Wait until the part is complete and on the disk."""
        self._output.mux(self._stream.encode(None))
        self._output.close()
        check_complete(self._hidden)
        sync(self._hidden)
        self._hidden.replace(self._path)
        sync(self._path.parent)

    def discard(self) -> None:
        """Delete the part."""
        with contextlib.suppress(OSError, OutputError), encoder_errors(self._path):
            self._output.close()
        self._hidden.unlink(missing_ok=True)


def check_complete(path: Path) -> None:
    """Raise `OSError` for an MP4 file that ends too early: FFmpeg does not report that its last bytes are lost."""
    size = path.stat().st_size
    offset = 0
    with path.open("rb") as file:
        while offset + 8 <= size:
            file.seek(offset)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            # a length of 1 means that the length follows the name of the box in 64 bits
            offset += int.from_bytes(header[8:], "big") if length == 1 else max(length, 8)
    if offset != size or size == 0:
        raise OSError(errno.ENOSPC, "it ends too early: is the disk full?")


@contextlib.contextmanager
def encoder_errors(path: Path) -> Iterator[None]:
    """Turn errors of FFmpeg and of the system while ``path`` is written into `OutputError`."""
    from av.error import FFmpegError

    with output_errors(path):
        try:
            yield
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OSError(None, error.strerror or str(error)) from error
