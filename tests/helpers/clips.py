"""Test clips, made with PyAV in milliseconds: numbered frames, portraits that move, every way to damage a file.

path = clip(tmp_path / "a.mp4", frames=50)                       # frame i shows the number i
path = clip(tmp_path / "b.mkv", codec="libvpx-vp9", times=[0, 0.1, 0.5])
path = clip(tmp_path / "c.mp4", size=(320, 240), draw=Pan.astronaut((320, 240)))
[number_of(frame.rgb) for frame in open_video(path)]             # 0, 1, 2, ...
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.pictures import ASTRONAUT_EYES, HOPPER_EYES, astronaut, hopper

os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder prints its settings otherwise

Rgb = NDArray[np.uint8]
Draw = Callable[[int], Rgb]

AV1 = "libsvtav1" if "libsvtav1" in av.codecs_available else "libaom-av1"
"""The AV1 encoder of this PyAV."""
FAST = {
    "libx264": {"preset": "ultrafast", "crf": "18"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    "libaom-av1": {"cpu-used": "8"},
    "mpeg4": {"q": "3"},
    "mpeg2video": {"q": "3"},
}
"""Options that make each encoder quick."""
_BLOCKS = 4  # a number is drawn as 4 × 4 black and white blocks: 16 bits


# ---------------------------------------------------------------- what a frame shows


def numbered(number: int, size: tuple[int, int] = (64, 48)) -> Rgb:
    """RGB ``(height, width, 3)`` that shows ``number`` (0 to 65,535) as black and white blocks."""
    width, height = size
    bits = (number >> np.arange(_BLOCKS * _BLOCKS)) & 1
    small = (bits.reshape(_BLOCKS, _BLOCKS) * 215 + 20).astype(np.uint8)
    grey = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.asarray(grey, np.uint8)[:, :, None], 3, axis=2)


def number_of(rgb: Rgb) -> int:
    """The number that a frame of `numbered` shows, also after lossy coding and scaling."""
    grey = rgb.mean(axis=2).astype(np.float32)
    means = cv2.resize(grey, (_BLOCKS * 8, _BLOCKS * 8), interpolation=cv2.INTER_AREA)
    centres = means.reshape(_BLOCKS, 8, _BLOCKS, 8)[:, 2:6, :, 2:6].mean(axis=(1, 3))
    return int(((centres.ravel() > 127).astype(int) << np.arange(_BLOCKS * _BLOCKS)).sum())


@dataclass(frozen=True)
class Pan:
    """A portrait that is panned and zoomed: ``Pan(...)(i)`` is frame i, ``Pan(...).eyes(i)`` where its eyes are.

    Attributes:
        picture: RGB.
        eyes_at: the two eyes in the picture, (x, y) pixels, the left one in the picture first.
        size: (width, height) of the frames.
        eye_distance: pixels between the eyes in the first frame.
        start: where the middle of the eyes is in the first frame, as shares of width and height.
        step: how far it moves, pixels a frame.
        zoom: factor a frame.
    """

    picture: Rgb
    eyes_at: tuple[tuple[int, int], tuple[int, int]]
    size: tuple[int, int] = (320, 240)
    eye_distance: float = 40.0
    start: tuple[float, float] = (0.4, 0.4)
    step: tuple[float, float] = (1.0, 0.3)
    zoom: float = 1.0

    @classmethod
    def astronaut(cls, size: tuple[int, int] = (320, 240), **how: object) -> Pan:
        """The smiling portrait of scikit-image."""
        return cls(astronaut(), ASTRONAUT_EYES, size, **how)  # type: ignore[arg-type]

    @classmethod
    def hopper(cls, size: tuple[int, int] = (320, 240), **how: object) -> Pan:
        """The portrait with glasses of matplotlib."""
        return cls(hopper(), HOPPER_EYES, size, **how)  # type: ignore[arg-type]

    def _matrix(self, i: int) -> NDArray[np.float64]:
        (x1, y1), (x2, y2) = self.eyes_at
        scale = self.eye_distance / np.hypot(x2 - x1, y2 - y1) * self.zoom**i
        x = self.start[0] * self.size[0] + self.step[0] * i - scale * (x1 + x2) / 2
        y = self.start[1] * self.size[1] + self.step[1] * i - scale * (y1 + y2) / 2
        return np.array([[scale, 0, x], [0, scale, y]])

    def __call__(self, i: int) -> Rgb:
        """RGB of frame ``i``."""
        shown = cv2.warpAffine(self.picture, self._matrix(i), self.size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(shown, np.uint8)

    def eyes(self, i: int) -> NDArray[np.float64]:
        """``(2, 2)`` xy pixels of the eyes in frame ``i``."""
        matrix = self._matrix(i)
        return np.asarray(np.array(self.eyes_at) @ matrix[:, :2].T + matrix[:, 2])


def side_by_side(left: Draw, right: Draw) -> Draw:
    """Two pictures beside one another."""
    return lambda i: np.ascontiguousarray(np.concatenate([left(i), right(i)], axis=1))


# ---------------------------------------------------------------- files


def clip(
    path: str | Path,
    *,
    frames: int = 25,
    size: tuple[int, int] = (64, 48),
    rate: Fraction | int = 25,
    times: Sequence[float] | None = None,
    draw: Draw | None = None,
    codec: str = "libx264",
    pix_fmt: str | None = "yuv420p",
    gop: int = 8,
    bframes: int = 0,
    sar: Fraction | None = None,
    color: dict[str, int] | None = None,
    audio: float = 0.0,
    audio_start: float = 0.0,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    reformat: Callable[[Rgb], av.VideoFrame] | None = None,
) -> Path:
    """Write a clip and return its path.

    Args:
        path: the suffix chooses the container, unless ``container`` names it.
        frames: how many.
        size: (width, height) of numbered frames; ``draw`` brings its own.
        rate: frames per second.
        times: seconds of each frame for a variable rate; ``frames`` is then their number.
        draw: frame number → RGB; by default each frame shows its number.
        codec: encoder.
        pix_fmt: pixel format of the encoder.
        gop: frames from key frame to key frame.
        bframes: B-frames between reference frames.
        sar: sample aspect ratio, width to height of one pixel.
        color: attributes of the encoder: ``colorspace``, ``color_range``, ``color_primaries``, ``color_trc``.
        audio: seconds of a tone beside the video.
        audio_start: seconds at which the tone starts.
        options: of the encoder.
        container: name of the container.
        container_options: of the container.
        reformat: RGB → the frame that is encoded, where the default conversion is not what is wanted.
    """
    draw = draw or (lambda i: numbered(i, size))
    count = len(times) if times is not None else frames
    first = draw(0)
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.height, stream.width = first.shape[:2]
        context = stream.codec_context
        context.pix_fmt = pix_fmt or context.pix_fmt
        context.gop_size = gop
        context.max_b_frames = bframes
        context.thread_count = 1
        context.options = {**FAST.get(codec, {}), **({"bf": str(bframes)} if bframes else {}), **(options or {})}
        if sar is not None:
            context.sample_aspect_ratio = sar
        for name, value in (color or {}).items():
            setattr(context, name, value)
        base = Fraction(1, 1000) if times is not None else 1 / Fraction(rate)
        if times is not None:
            context.time_base = base
        tone = _Tone(output, audio, audio_start) if audio else None
        for i in range(count):
            rgb = draw(i)
            frame = reformat(rgb) if reformat else av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
            frame.pts = round(Fraction(times[i]) / base) if times is not None else i
            frame.time_base = base
            if tone is not None:
                tone.write(float(frame.pts * base))
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
        if tone is not None:
            tone.close()
    return Path(path)


class _Tone:
    """A quiet 440 Hz tone, written as the video goes on so that the two are interleaved."""

    RATE, SAMPLES = 48000, 1024

    def __init__(self, output: av.container.OutputContainer, seconds: float, start: float) -> None:
        self.output = output
        codec = "libopus" if output.format.name == "webm" else "mp2" if output.format.name == "avi" else "aac"
        self.stream = output.add_stream(codec, rate=self.RATE, layout="mono")
        self.at, self.end = round(start * self.RATE), round((start + seconds) * self.RATE)

    def write(self, until: float) -> None:
        while self.at < self.end and self.at < until * self.RATE:
            t = (self.at + np.arange(self.SAMPLES)) / self.RATE
            sound = (np.sin(2 * np.pi * 440 * t) * 0.1).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = self.RATE, self.at, Fraction(1, self.RATE)
            self.output.mux(self.stream.encode(frame))
            self.at += self.SAMPLES

    def close(self) -> None:
        self.write(self.end / self.RATE)
        self.output.mux(self.stream.encode(None))


def sound(path: str | Path, seconds: float = 1.0) -> Path:
    """A file with a tone and no picture."""
    with av.open(str(path), "w") as output:
        _Tone(output, seconds, 0.0).close()
    return Path(path)


# ---------------------------------------------------------------- what happens to files

_MATRICES = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip
"""EXIF orientation → a, b, c, d of the matrix by which a player shows the stored picture so."""


def turned(path: Path, orientation: int) -> Path:
    """Write into an MP4 or MOV file how it is to be shown: EXIF's orientations, 6 is a phone held upright."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 52 if data[at] else 40  # version 1 has 64-bit times
    a, b, c, d = (v * 0x10000 for v in _MATRICES[orientation])
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    return path


def shortened(path: Path, keep: float = 0.6) -> Path:
    """Throw the end of a file away; ``keep`` is the share of its bytes that stays."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * keep)])
    return path


def scrambled(path: Path, start: float = 0.4, end: float = 0.5, seed: int = 0) -> Path:
    """Overwrite a stretch of a file, given as shares of its bytes, with noise."""
    data = bytearray(path.read_bytes())
    first, last = round(len(data) * start), round(len(data) * end)
    data[first:last] = np.random.default_rng(seed).bytes(last - first)
    path.write_bytes(data)
    return path
