"""Clips of every kind of container and codec, and what is read of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from helpers.clips import AV1, number_of, numbered
from mien.media.selection import FrameSelection
from mien.media.video import open_video

# name of the file → how it is made; B-frames wherever the container and codec have them
KINDS: dict[str, dict[str, object]] = {
    "h264.mp4": {"bframes": 2},
    "h264.mov": {"bframes": 2},
    "h264.mkv": {"bframes": 2},
    "h264.ts": {"bframes": 2},
    "h264.flv": {"bframes": 2},
    "h264.avi": {"bframes": 2},
    "raw.h264": {"bframes": 2},
    "fragments.mp4": {"bframes": 2, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "open.mp4": {"bframes": 2, "options": {"preset": "veryfast", "x264-params": "open-gop=1:keyint=8:min-keyint=8"}},
    "hevc.mp4": {"codec": "libx265", "bframes": 2},
    "hevc.mkv": {"codec": "libx265", "bframes": 2},
    "raw.hevc": {"codec": "libx265", "bframes": 2},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good"}},
    "av1.mp4": {"codec": AV1},
    "av1.webm": {"codec": AV1},
    "mpeg4.avi": {"codec": "mpeg4", "bframes": 2},
    "mpeg4.mp4": {"codec": "mpeg4", "bframes": 2},
    "mpeg2.ts": {"codec": "mpeg2video", "bframes": 2},
    "mpeg2.mpg": {"codec": "mpeg2video", "bframes": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mjpeg.mp4": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "raw.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "ffv1.mkv": {"codec": "ffv1"},
    "wmv2.wmv": {"codec": "wmv2"},
    "animation.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "animation.apng": {"codec": "apng", "pix_fmt": "rgb24"},
}
VARIABLE = ("h264.mp4", "h264.mkv", "h264.ts", "hevc.mp4", "vp9.webm", "av1.mp4", "mpeg4.mp4", "animation.gif")
"""Kinds that can hold a variable rate."""
FRAMES = 40
TIMES = list(itertools.accumulate([0.04, 0.2, 0.02, 0.7, 0.03, 0.04, 0.04, 0.5] * 5))


def read_clip(path: Path, after: int | None = None, **selection: float | None) -> list[tuple[int, int, float]]:
    """(index, number that the picture shows, time) of each frame; nothing may be lost."""
    with open_video(path, FrameSelection(**selection), after=after) as video:  # type: ignore[arg-type]
        frames = [(frame.index, number_of(frame.rgb), frame.time) for frame in video]
        assert video.lost == video.dropped == 0
    return frames


def drawn(i: int) -> np.ndarray:
    """A numbered frame with noise, so that a file has some bytes per frame."""
    noise = np.random.default_rng(i).integers(-15, 16, (120, 160, 3))
    return (numbered(i, (160, 120)).astype(int) + noise).clip(0, 255).astype(np.uint8)


HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1:crf=10"}
KINDS_OF_LONG: dict[str, dict[str, object]] = {
    "a.mp4": {"bframes": 2, "container_options": {"movflags": "faststart"}},
    "a.mkv": {"bframes": 2},
    "a.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.flv": {},
    "hevc.mp4": {"codec": "libx265", "bframes": 2, "options": HEVC, "container_options": {"movflags": "faststart"}},
    "av1.mp4": {"codec": AV1, "container_options": {"movflags": "faststart"}},
    "a.webm": {"codec": "libvpx-vp9"},
    "a.ts": {"bframes": 2},
}


def save_picture(path: Path, fmt: str) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(path, fmt)
