"""Decoded frames become upright RGB with square pixels and true colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from helpers.clips import clip, number_of, numbered, turned
from mien.media.video import open_video

CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:, 32:] = 250, 180, 110, 40


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotation_and_mirroring(orientation: int, tmp_path: Path) -> None:
    stored = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2), 8: lambda a: np.rot90(a, -1),
    }[orientation](CORNERS)  # fmt: skip
    path = turned(clip(tmp_path / "a.mp4", frames=2, draw=lambda i: np.ascontiguousarray(stored)), orientation)
    with open_video(path) as video:
        assert (video.info.width, video.info.height) == (64, 48)
        assert video.info.rotation == {6: 90, 5: 90, 3: 180, 4: 180, 7: 270, 8: 270}.get(orientation, 0)
        for frame in video:
            middle = frame.rgb[12:48:24, 16:64:32].mean(axis=2)
            assert np.abs(middle - [[250, 180], [110, 40]]).max() < 6
            assert frame.rgb.flags.c_contiguous


@pytest.mark.parametrize(
    ("sar", "size"),
    [
        (Fraction(2, 1), (128, 48)),
        (Fraction(16, 11), (93, 48)),
        (Fraction(1, 2), (64, 96)),
        (Fraction(1, 1), (64, 48)),
        (Fraction(1216, 1215), (64, 48)),
        (Fraction(20, 1), (64, 48)),  # nonsense is not believed
    ],
)
def test_resampling_become_square(sar: Fraction, size: tuple[int, int], tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=3, sar=sar)
    with open_video(path) as video:
        assert (video.info.width, video.info.height) == size
        assert [(frame.size, number_of(frame.rgb)) for frame in video] == [(size, 0), (size, 1), (size, 2)]
    if sar == 2:
        with open_video(turned(path, 6)) as video:
            assert (video.info.width, video.info.height) == (48, 128)
            assert next(iter(video)).size == (48, 128)


MATRICES = {"bt601": (6, 0.299, 0.114), "bt709": (1, 0.2126, 0.0722), "bt2020": (9, 0.2627, 0.0593)}
COLOURS = np.array(
    [[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [224, 172, 140], [90, 60, 45]]
)


def coded(rgb: np.ndarray, matrix: str, full: bool, bits: int) -> av.VideoFrame:
    """RGB → YUV by the textbook, independent of FFmpeg."""
    _, red, blue = MATRICES[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    top, scale = 2**bits - 1, 2 ** (bits - 8)
    if full:
        planes = [y * top, u * top + 2 ** (bits - 1), v * top + 2 ** (bits - 1)]
    else:
        planes = [(16 + 219 * y) * scale, (128 + 224 * u) * scale, (128 + 224 * v) * scale]
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], "yuv420p10le" if bits == 10 else "yuv420p")
    kind = np.uint16 if bits == 10 else np.uint8
    for plane, values, step in zip(frame.planes, planes, (1, 2, 2), strict=True):
        padded = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
        padded[:, : plane.width] = np.rint(values).clip(0, top)[::step, ::step]
        plane.update(padded.tobytes())
    return frame


def patches(colours: np.ndarray, side: int = 16) -> np.ndarray:
    return np.repeat(np.repeat(colours[None].astype(np.uint8), side, axis=0), side, axis=1)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_known_colours_come_back(matrix: str, full: bool, bits: int, tmp_path: Path) -> None:
    path = clip(
        tmp_path / "a.mkv",
        frames=1,
        draw=lambda i: patches(COLOURS),
        reformat=lambda rgb: coded(rgb, matrix, full, bits),
        codec="libx264",
        pix_fmt="yuv420p10le" if bits == 10 else "yuv420p",
        options={"qp": "0", "preset": "ultrafast"},
        color={"colorspace": MATRICES[matrix][0], "color_range": 2 if full else 1},
    )
    with open_video(path) as video:
        (frame,) = video
    got = frame.rgb[8, 8::16].astype(int)
    approximate = matrix == "bt2020" and "BT2020" not in Colorspace.__members__  # before PyAV 17
    assert np.abs(got - COLOURS).max() <= (14 if approximate else 3)


@pytest.mark.parametrize(("size", "matrix"), [((128, 96), "bt601"), ((1280, 720), "bt709")])
def test_unlabelled_colours_go_by_the_size(size: tuple[int, int], matrix: str, tmp_path: Path) -> None:
    green = np.full((size[1], size[0], 3), (30, 200, 60), np.uint8)
    path = clip(
        tmp_path / "a.mp4", frames=1, draw=lambda i: green, reformat=lambda rgb: coded(rgb, matrix, False, 8),
        options={"qp": "0", "preset": "ultrafast"},
    )  # fmt: skip
    with open_video(path) as video:
        (frame,) = video
    assert np.abs(frame.rgb[50, 50].astype(int) - (30, 200, 60)).max() <= 3


@pytest.mark.parametrize(("transfer", "bound"), [("pq", 9), ("hlg", 12)])
def test_hdr_keeps_the_brightness(transfer: str, bound: int, tmp_path: Path) -> None:
    greys = np.array([[v, v, v] for v in (30, 60, 90, 120, 150, 180, 210, 230)])
    linear = np.where(greys <= 10, greys / 255 / 12.92, ((greys / 255 + 0.055) / 1.055) ** 2.4)
    if transfer == "pq":
        power = (linear * 203 / 10000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        scene = (linear * 0.203) ** (1 / 1.2)
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
    path = clip(
        tmp_path / "a.mkv", frames=1, draw=lambda i: patches(np.zeros((8, 3))), codec="libx265",
        reformat=lambda rgb: coded(np.repeat(np.repeat(signal[None], 16, 0), 16, 1) * 255, "bt2020", False, 10),
        pix_fmt="yuv420p10le", options={"x265-params": "lossless=1:log-level=none"},
        color={"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16 if transfer == "pq" else 18},
    )  # fmt: skip
    with open_video(path) as video:
        (frame,) = video
    got = frame.rgb[8, 8::16].mean(axis=1)
    below_the_knee = greys[:, 0] <= 210
    assert np.abs(got - greys[:, 0])[below_the_knee].max() <= bound
    assert np.all(np.diff(got) > 5)  # highlights are pressed together, not cut off


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[:, :32] = (200, 30, 30, 255)
    path = clip(
        tmp_path / "a.mov", frames=1, codec="png", pix_fmt="rgba",
        reformat=lambda rgb: av.VideoFrame.from_ndarray(rgba, "rgba"),
    )  # fmt: skip
    with open_video(path) as video:
        (frame,) = video
    assert frame.rgb[10, 10].tolist() == [200, 30, 30]
    assert frame.rgb[10, 50].tolist() == [255, 255, 255]


@pytest.mark.parametrize("size", [(1, 1), (17, 1), (3, 5), (65, 49)])
@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv444p"), ("png", "rgb24")])
def test_odd_and_tiny_sizes(size: tuple[int, int], codec: str, pix_fmt: str, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mov", size=size, frames=2, codec=codec, pix_fmt=pix_fmt)
    with open_video(path) as video:
        frames = list(video)
    assert [frame.size for frame in frames] == [size, size]
    if codec == "png":
        assert np.array_equal(frames[1].rgb, numbered(1, size))
