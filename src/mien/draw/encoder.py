"""One part of an annotated video: H.264 in MP4, under a hidden name until it is whole."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutputError
from mien.files import output_errors, sync

TICKS = 90_000
"""Time stamps a second: whole numbers for the frame rates of film, PAL and NTSC, and fine enough for any other."""
_KEY = 150
"""Frames from which a player can start are at most so far apart."""
_BT709, _LIMITED = 1, 1


class EncodedPart:
    """One part being encoded.

    Attributes:
        frames: how many it holds.
    """

    def __init__(self, path: Path, size: tuple[int, int], start: int, options: dict[str, str]) -> None:
        """Begin the part ``path``: (width, height), the time stamp of the first frame, and the encoder's options."""
        import av
        from av.video.reformatter import VideoReformatter

        self._path, self._start = path, start
        self._hidden = path.with_name(f".{path.name}")
        self._reformatter = VideoReformatter()
        self.frames = 0
        if "libx264" not in av.codecs_available:
            raise OutputError(f"{path}: this build of PyAV has no H.264 encoder: install its wheel, pip install av")
        # fragments: should the machine stop before the part is whole, a player can still show it
        fragments = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
        self._output = av.open(f"file:{self._hidden}", "w", format="mp4", options=fragments)
        # without B-frames packets are in the order of time, so parts can be cut and joined anywhere
        stream = self._output.add_stream("libx264", rate=30, options=options | {"bf": "0", "g": str(_KEY)})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._stream = stream

    def write(self, rgb: NDArray[np.uint8], ticks: int) -> None:
        """Add an RGB uint8 frame at this time stamp."""
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
        """Return when the part is whole and on the disk."""
        self._output.mux(self._stream.encode(None))
        self._output.close()
        check_whole(self._hidden)
        sync(self._hidden)
        self._hidden.replace(self._path)
        sync(self._path.parent)

    def abandon(self) -> None:
        """Throw the part away."""
        with contextlib.suppress(OSError, OutputError), encoding(self._path):
            self._output.close()
        self._hidden.unlink(missing_ok=True)


def check_whole(path: Path) -> None:
    """Raise `OSError` for an MP4 file that ends too early: FFmpeg does not tell when its last bytes are lost."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            # a length of 1 announces 64 bits behind the name of the box
            at += int.from_bytes(header[8:], "big") if length == 1 else max(length, 8)
    if at != size or size == 0:
        raise OSError(errno.ENOSPC, "it ends too early: is the disk full?")


@contextlib.contextmanager
def encoding(path: Path) -> Iterator[None]:
    """What FFmpeg or the system says while ``path`` is written becomes one `OutputError`."""
    from av.error import FFmpegError

    with output_errors(path):
        try:
            yield
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OSError(None, error.strerror or str(error)) from error
