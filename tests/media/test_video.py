"""Video files: every frame with its own number, time and colours, whatever the container; faults told and counted."""

from __future__ import annotations

import contextlib
import itertools
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.clips import AV1, clip, number_of, numbered, scrambled, shortened, sound, turned
from mien.errors import ImageError, InputError, MienError, MissingFileError, VideoError
from mien.media.decoder import find_seek_point
from mien.media.frame_order import ArrivalOrder, TimestampOrder
from mien.media.loss_report import LossReport
from mien.media.numbered_pictures import open_numbered_pictures
from mien.media.probe import probe_video
from mien.media.selection import ALL_FRAMES, FrameSelection, FrameSelector
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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A clip of this kind, made once: 40 numbered frames, at 25 a second or at `TIMES`."""
    folder = tmp_path_factory.mktemp("clips")

    def get(kind: str, variable: bool = False) -> Path:
        path = folder / f"{'variable' if variable else 'steady'}-{kind}"
        if not path.exists():
            clip(path, frames=FRAMES, times=TIMES if variable else None, **KINDS[kind])  # type: ignore[arg-type]
        return path

    return get


def read(path: Path, after: int | None = None, **selection: float | None) -> list[tuple[int, int, float]]:
    """(index, number that the picture shows, time) of each frame; nothing may be lost."""
    with open_video(path, FrameSelection(**selection), after=after) as video:  # type: ignore[arg-type]
        frames = [(frame.index, number_of(frame.rgb), frame.time) for frame in video]
        assert video.lost == video.dropped == 0
    return frames


# ---------------------------------------------------------------- numbers and times


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_all_frames_in_order(kind: str, made: Callable[..., Path]) -> None:
    frames = read(made(kind))
    assert [index for index, _, _ in frames] == list(range(FRAMES))
    assert [number for _, number, _ in frames] == list(range(FRAMES))
    first = 0.04 if kind == "mpeg4.avi" else 0.0  # AVI's clock starts one frame before the first picture
    assert [time for *_, time in frames] == pytest.approx([first + i / 25 for i in range(FRAMES)], abs=0.002)


@pytest.mark.parametrize("kind", VARIABLE)
def test_variable_rate_keeps_true_times(kind: str, made: Callable[..., Path]) -> None:
    frames = read(made(kind, variable=True))
    assert [number for _, number, _ in frames] == list(range(FRAMES))
    tolerance = 0.0101 if kind == "animation.gif" else 0.0015  # a GIF counts hundredths
    assert [time for *_, time in frames] == pytest.approx([t - TIMES[0] for t in TIMES], abs=tolerance)


@pytest.mark.parametrize(
    "variable_and_kind", [*((False, k) for k in KINDS), *((True, k) for k in VARIABLE)], ids=lambda v: f"{v[1]}-{v[0]}"
)
@pytest.mark.parametrize("choice", [{}, {"fps": 7.0, "start": 0.3, "end": 2.5}], ids=str)
def test_resumed_after_any_frame_goes_on_as_if_never_stopped(
    variable_and_kind: tuple[bool, str], choice: dict[str, float], made: Callable[..., Path]
) -> None:
    variable, kind = variable_and_kind
    path = made(kind, variable=variable)
    whole = read(path, **choice)
    assert len(whole) >= 4
    for cut in (0, len(whole) // 2, len(whole) - 2):
        assert read(path, **choice, after=whole[cut][0]) == whole[cut + 1 :]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["h264.mp4", "open.mp4", "h264.ts", "hevc.mkv", "vp8.webm", "av1.mp4"]),
    after=st.integers(0, FRAMES + 2),
    start=st.none() | st.floats(0.0, 1.5),
    length=st.none() | st.floats(0.05, 2.0),
    every=st.integers(1, 6),
)
def test_any_resumption(
    kind: str, after: int, start: float | None, length: float | None, every: int, made: Callable[..., Path]
) -> None:
    choice = {"every": every, "start": start, "end": None if length is None else (start or 0.0) + length}
    frames = read(made(kind))
    first, last = start or 0.0, choice["end"] or 99.0
    wanted = [frame for frame in frames if first <= frame[2] < last and frame[0] % every == 0]
    assert read(made(kind), **choice) == wanted
    assert read(made(kind), **choice, after=after) == [frame for frame in wanted if frame[0] > after]


def test_resuming_reads_far_but_decodes_little(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", frames=400, bframes=2, gop=10)
    probe = probe_video(path)
    start = find_seek_point(probe, ALL_FRAMES, after=299)
    assert start is not None
    assert (start.packet, start.rank, start.target) == (290, 290, 300)
    assert read(path, after=299) == read(path)[300:]
    assert find_seek_point(probe, FrameSelection(start=12.0)) == start
    assert find_seek_point(probe, ALL_FRAMES, after=399) is None


def test_start_and_end_in_seconds(made: Callable[..., Path]) -> None:
    assert [f[0] for f in read(made("h264.mp4"), start=0.4, end=0.6)] == [10, 11, 12, 13, 14]
    assert [f[0] for f in read(made("h264.ts"), start=1.5)] == [38, 39]
    assert read(made("raw.mjpeg"), start=100.0) == []
    with pytest.raises(InputError, match=r"start lies behind the end of the video, at 1\.60 s: got 2\.0"):
        open_video(made("h264.mp4"), FrameSelection(start=2.0))


def test_every_and_fps_choose_by_number_and_by_time(made: Callable[..., Path]) -> None:
    assert [f[0] for f in read(made("h264.mp4"), every=7)] == [0, 7, 14, 21, 28, 35]
    assert [f[0] for f in read(made("h264.mkv"), fps=5)] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert len(read(made("h264.mkv"), fps=25)) == len(read(made("h264.mkv"), fps=1000)) == FRAMES
    times = [time for *_, time in read(made("h264.mp4", variable=True), fps=4)]
    rate = open_video(made("h264.mp4", variable=True)).info.rate
    assert rate is not None
    slots = [int((time + 0.5 / max(rate, 4)) * 4) for time in times]
    assert len(set(slots)) == len(slots) < FRAMES  # at most one of each quarter of a second


def test_the_clock_is_that_of_the_sound(tmp_path: Path) -> None:
    later = clip(tmp_path / "later.mp4", times=[1.0, 1.1, 1.2], audio=2.0)
    assert [time for *_, time in read(later)] == pytest.approx([1.0, 1.1, 1.2], abs=0.03)
    with open_video(later) as video:
        assert video.info.has_audio
    early = clip(tmp_path / "early.mkv", frames=10, audio=0.5, audio_start=0.1)
    assert read(early)[0][2] == pytest.approx(0.0, abs=0.001)


def test_equal_time_stamps_still_move_time_on(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", times=[0.0, 0.1, 0.2, 0.3, 0.4], codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = {200: 100, 300: 100}.get(packet.pts, packet.pts)
                packet.stream = stream
                target.mux(packet)
    times = [time for *_, time in read(tmp_path / "b.mkv")]
    assert times == pytest.approx([0.0, 0.1, 0.1, 0.1, 0.4], abs=1e-4)
    assert all(a < b for a, b in itertools.pairwise(times))
    assert read(tmp_path / "b.mkv", after=2) == read(tmp_path / "b.mkv")[3:]


def test_joined_recordings_go_on_where_the_clock_jumps(tmp_path: Path) -> None:
    parts = [clip(tmp_path / f"{i}.ts", frames=50, bframes=2) for i in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(joined) as video:
        frames = [(frame.index, number_of(frame.rgb), frame.time) for frame in video]
    numbers = [number for _, number, _ in frames]
    assert numbers == [*range(50), *range(50)]
    times = [time for *_, time in frames]
    assert times == pytest.approx([i / 25 for i in range(100)], abs=0.13)
    assert all(a < b for a, b in itertools.pairwise(times))
    assert any("clock jumps at 1.92 s" in line for line in video.problems)
    with open_video(joined, after=70) as video:
        assert [(frame.index, number_of(frame.rgb), frame.time) for frame in video] == frames[71:]


# ---------------------------------------------------------------- upright, square, true colours

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
def test_pixels_become_square(sar: Fraction, size: tuple[int, int], tmp_path: Path) -> None:
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


def test_a_size_that_changes_is_told_once_and_frames_have_their_own(tmp_path: Path) -> None:
    parts = [clip(tmp_path / f"{i}.h264", frames=5, size=size) for i, size in enumerate([(64, 48), (96, 64)])]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(joined) as video:
        sizes = [frame.size for frame in video]
    assert sizes == [(64, 48)] * 5 + [(96, 64)] * 5
    assert [line for line in video.problems if "96 × 64" in line] == ["the picture becomes 96 × 64 at 0.20 s (frame 5)"]


def test_interlaced_frames_are_left_whole(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.ts", frames=20, codec="mpeg2video", options={"flags": "+ildct+ilme", "top": "1"})
    assert [number for _, number, _ in read(path)] == list(range(20))


# ---------------------------------------------------------------- what is known beforehand


def test_info(made: Callable[..., Path], tmp_path: Path) -> None:
    with open_video(made("h264.mp4")) as video:
        info = video.info
    assert (info.width, info.height, info.rate, info.frames, info.rotation) == (64, 48, 25.0, FRAMES, 0)
    assert info.seconds == pytest.approx(1.6)
    assert (info.codec, info.has_audio, info.live) == ("h264", False, False)
    assert info.name == str(made("h264.mp4"))
    assert open_video(made("h264.mp4"), FrameSelection(every=3)).info.frames == 14
    assert open_video(made("h264.mp4"), FrameSelection(start=0.4, end=0.6)).info.frames == 5
    assert open_video(made("h264.mkv"), FrameSelection(fps=5)).info.frames == 8
    assert open_video(made("raw.h264")).info.frames is None
    assert open_video(made("av1.mp4")).info.codec == "av1"


def test_the_larger_track_is_taken_and_a_cover_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output:
        streams = []
        for width, height in ((32, 32), (64, 48)):
            stream = output.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
            streams.append((stream, (width, height)))
        for i, (stream, size) in itertools.product(range(5), streams):
            frame = av.VideoFrame.from_ndarray(numbered(i, size), "rgb24")
            frame.pts = i
            output.mux(stream.encode(frame))
        for stream, _ in streams:
            output.mux(stream.encode(None))
    with open_video(path) as video:
        assert [(frame.size, number_of(frame.rgb)) for frame in video] == [((64, 48), i) for i in range(5)]


def test_a_file_that_goes_away_while_it_is_open(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4")
    video = open_video(path)
    path.unlink()
    with pytest.raises(VideoError, match=r"a\.mp4: cannot be read any more: No such file or directory"):
        list(video)


def test_a_header_that_claims_the_impossible(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.flv", frames=30)
    data = bytearray(path.read_bytes())
    at = data.index(b"duration") + 9
    data[at : at + 8] = struct.pack(">d", 100_000.0)
    path.write_bytes(data)
    with open_video(path) as video:
        assert len(list(video)) == 30
    assert video.lost == 0
    assert video.problems == ("the file holds 1.20 of the 100000.00 s that its header states: one of the two is wrong",)


def test_names_that_look_like_addresses_or_patterns(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "a%03d[1]*?.mp4", "ünïcode 漢字.mp4", "-x.mp4", "concat:x.mp4"):
        path = clip(tmp_path / "a.mp4", frames=2).rename(tmp_path / name)
        assert len(read(path)) == 2
    odd = Path(str(tmp_path / "a\udcff.mp4"))
    clip(tmp_path / "a.mp4", frames=2).rename(odd)
    assert len(read(odd)) == 2


# ---------------------------------------------------------------- faults


def drawn(i: int) -> np.ndarray:
    """A numbered frame with noise, so that a file has some bytes a frame."""
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


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """A copy of a clip of 100 frames, to be damaged."""
    folder = tmp_path_factory.mktemp("long")

    def get(kind: str, target: Path) -> Path:
        if not (folder / kind).exists():
            clip(folder / kind, frames=100, draw=drawn, **KINDS_OF_LONG[kind])  # type: ignore[arg-type]
        copy = target / kind
        copy.write_bytes((folder / kind).read_bytes())
        return copy

    return get


@pytest.mark.parametrize("kind", ["a.mp4", "a.mkv", "a.avi", "a.flv", "hevc.mp4", "a.webm"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_file_that_ends_early(kind: str, keep: float, tmp_path: Path, long: Callable[[str, Path], Path]) -> None:
    with open_video(shortened(long(kind, tmp_path), keep)) as video:
        frames = list(video)
    assert frames
    assert video.lost + len(frames) == pytest.approx(100, abs=2)
    (line,) = [line for line in video.problems if "ends early" in line or "declares" in line]
    if kind != "a.avi":
        assert "the file ends early, at " in line
        assert " of 4.00 s" in line or " of 4.04 s" in line
    numbers = [number_of(frame.rgb) for frame in frames]
    assert numbers[:-3] == list(range(len(frames)))[:-3]


def test_an_index_at_the_end_that_is_cut_off(tmp_path: Path) -> None:
    path = shortened(clip(tmp_path / "a.mp4"))
    with pytest.raises(VideoError, match=r"a\.mp4: is an MP4 or MOV file without its index \(moov\), as when a rec"):
        open_video(path)


@pytest.mark.parametrize("kind", KINDS_OF_LONG)
@pytest.mark.parametrize("place", [0.3, 0.5, 0.8])
def test_a_corrupt_stretch_in_the_middle(
    kind: str, place: float, tmp_path: Path, long: Callable[[str, Path], Path]
) -> None:
    with open_video(scrambled(long(kind, tmp_path), place, place + 0.05)) as video:
        frames = list(video)
    assert 70 <= len(frames) < 100
    assert number_of(frames[-1].rgb) == 99  # decoding goes on behind the damage
    assert number_of(frames[10].rgb) == 10
    lost = 100 - len(frames)
    if kind == "a.ts":  # its packets may leave without a trace
        assert 0 < video.lost <= lost
    else:
        assert video.lost == pytest.approx(lost, abs=3 if kind in ("a.mkv", "a.webm", "a.flv") else 0)
    assert video.problems
    times = [frame.time for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(times))


def test_lost_frames_keep_their_numbers(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=60, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    gone = [7, *range(20, 25), 59]
    with av.open(str(path)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    for packet in (packets[i] for i in gone):
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    for every in (1, 3):
        with open_video(path, FrameSelection(every=every)) as video:
            got = [(frame.index, number_of(frame.rgb), frame.time) for frame in video]
        assert [index for index, *_ in got] == [i for i in range(0, 60, every) if i not in gone]
        assert all(index == number for index, number, _ in got)
        assert [time for *_, time in got] == pytest.approx([index / 25 for index, *_ in got])
        assert video.lost == len(gone)
        assert video.problems == (
            "frame 7 (0.28 s) could not be decoded",
            "frames 20–24 (0.80–0.96 s) could not be decoded",
            "frame 59 (2.36 s) could not be decoded",
        )


def test_a_damaged_file_resumes_like_a_whole_one(tmp_path: Path, long: Callable[[str, Path], Path]) -> None:
    path = scrambled(long("a.mp4", tmp_path), 0.4, 0.5)

    def frames(after: int | None = None) -> list[tuple[int, float, bytes]]:
        with open_video(path, after=after) as video:
            return [(frame.index, frame.time, frame.rgb.tobytes()) for frame in video]

    whole = frames()
    for cut in (5, 40, len(whole) - 20, len(whole) - 2):
        assert frames(after=whole[cut][0]) == whole[cut + 1 :]


def test_damage_near_the_end_costs_no_whole_frame(
    tmp_path: Path, long: Callable[[str, Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scrambled(long("a.mp4", tmp_path), 0.97, 0.974)
    got = []
    for threads in (1, 4):  # threads that decode a frame each lose the whole ones beside a damaged one at the end
        monkeypatch.setattr("mien.media.decoder.thread_count", lambda given, threads=threads: given or threads)
        with open_video(path) as video:
            got.append([(frame.index, frame.rgb.tobytes()) for frame in video])
        assert len(got[-1]) + video.lost == 100
    assert 0 < len(got[0]) < 100
    assert got[0] == got[1]


def test_a_recording_that_starts_in_the_middle_of_a_group(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.ts", frames=60, gop=20)
    data = path.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    tables, rest = packets[:3], packets[3:]
    path.write_bytes(b"".join(tables + rest[len(rest) // 8 :]))
    with open_video(path) as video:
        frames = [(frame.index, number_of(frame.rgb)) for frame in video]
    assert [number for _, number in frames] == list(range(20, 60))
    assert frames[0][0] == video.lost > 0
    assert video.problems[0].startswith(f"frames 0–{video.lost - 1} (")


def pdf(path: Path) -> None:
    path.write_bytes(b"%PDF-1.4\n" + b"\0" * 500)


def encrypted(path: Path) -> None:
    key = "00112233445566778899aabbccddeeff"
    clip(path, container_options={"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key})


def picture(path: Path, fmt: str) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(path, fmt)


def animated_webp(path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    pictures[0].save(path, "WEBP", save_all=True, append_images=pictures[1:])


NOT_VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda p: p.write_text("hello\n" * 50), "holds text, not a video; check what was saved under this name"),
    "page": (
        lambda p: p.write_text("<!DOCTYPE html><html>404</html>"),
        "is a web page, perhaps the answer to a failed",
    ),
    "subtitles": (lambda p: p.write_text("1\n00:00:01,000 --> 00:00:02,000\nhi\n"), "holds text, not a video"),
    "playlist": (
        lambda p: p.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        "is a playlist, not a video; give the address it comes from, or one of the files it names",
    ),
    "empty": (lambda p: p.touch(), r"is empty \(0 bytes\); copy or download it again"),
    "noise": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)), "is not a video, or damaged at its start"),
    "zeros": (lambda p: p.write_bytes(bytes(5000)), "is not a video, or damaged at its start"),
    "pdf": (pdf, "is a PDF document"),
    "png": (lambda p: picture(p, "PNG"), "is a picture, not a video; 'mien analyze FILE' or Analyzer.analyze"),
    "jpeg": (lambda p: picture(p, "JPEG"), "is a picture, not a video"),
    "webp": (lambda p: picture(p, "WEBP"), "is a picture, not a video"),
    "avif": (lambda p: picture(p, "AVIF"), "is a picture, not a video"),
    "tiff": (lambda p: picture(p, "TIFF"), "is a picture, not a video"),
    "animated-webp": (animated_webp, "is an animated WebP, which FFmpeg does not read; convert it to MP4 or GIF"),
    "drm": (encrypted, r"is encrypted \(DRM\); only the player it was made for can read it"),
    "codec": (
        lambda p: clip(p).write_bytes(p.read_bytes().replace(b"avc1", b"zzzz")),
        "its codec is not one that FFmpeg decodes; convert it to H.264",
    ),
    "noise-inside": (lambda p: scrambled(clip(p), 0.005, 0.55), "is |not one of its frames can be decoded"),
}


@pytest.mark.parametrize("case", NOT_VIDEOS)
def test_files_that_are_no_videos(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "film.mp4"
    make, message = NOT_VIDEOS[case]
    make(path)
    capfd.readouterr()
    with pytest.raises(VideoError, match=message) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_sound_alone(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"a\.m4a: holds sound but no video"):
        open_video(sound(tmp_path / "a.m4a"))


def test_a_track_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        output.start_encoding()
    with pytest.raises(VideoError, match=r"a\.mp4: holds a video track without a single frame"):
        open_video(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"gone\.mp4: no such file; check the path, relative ones start at "):
        open_video(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="is a folder; give the videos in it one at a time, or open_num"):
        open_video(tmp_path)
    with pytest.raises(InputError, match="is an address, not a file; 'mien live' or open_live reads it"):
        open_video("rtsp://host/stream")
    with pytest.raises(InputError, match="the path is empty"):
        open_video("")
    with pytest.raises(InputError, match="is a pipe or a device, which cannot be read twice"):
        open_video("/dev/null")
    with pytest.raises(InputError, match="is not a path: "):
        open_video("a\0b")
    (tmp_path / "file").touch()
    with pytest.raises(MissingFileError, match="a part of the path is a file, not a folder"):
        open_video(tmp_path / "file" / "a.mp4")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "a.mp4")

    def refused(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(InputError, match=r"a\.mp4: cannot be opened: Permission denied"):
        open_video(path)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"every": 0}, "every is a whole number from 1, got 0"),
        ({"every": 1.5}, "every is a whole number from 1, got 1.5"),
        ({"fps": 0}, "fps is a number above 0, got 0"),
        ({"fps": float("nan")}, "fps is a number above 0, got nan"),
        ({"start": -1}, "start is a number from 0, got -1"),
        ({"end": 0}, "end is a number above 0, got 0"),
        ({"start": 2, "end": 1}, "end lies after start, got start=2 and end=1"),
        ({"every": 2, "fps": 5}, "give every or fps, not both"),
        ({"after": -1}, "after is the number of a frame, from 0, got -1"),
    ],
)
def test_options_out_of_range(choice: dict[str, float], message: str, made: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=message):
        read(made("h264.mp4"), **choice)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_makes_anything_but_an_error_of_ours(
    data: st.DataObject, made: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    original = made(kind).read_bytes()
    path = tmp_path_factory.mktemp("x") / kind
    damaged = bytearray(original[: data.draw(st.integers(0, len(original)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at : at + 20] = data.draw(st.binary(max_size=20))
    path.write_bytes(damaged)
    frames, problems = [], ()
    with contextlib.suppress(MienError), open_video(path) as video:
        frames = [(frame.index, frame.time) for frame in itertools.islice(video, 500)]
        problems = video.problems
    assert all(i < j and a < b for (i, a), (j, b) in itertools.pairwise(frames))
    assert all("\n" not in line for line in problems)


# ---------------------------------------------------------------- manners


def test_closing_early_and_reading_on(made: Callable[..., Path]) -> None:
    video = open_video(made("h264.mp4"))
    assert next(iter(video)).index == 0
    assert next(iter(video)).index == 1  # a second loop goes on
    video.close()
    assert list(video) == []
    video.close()
    with open_video(made("h264.mp4")) as unread:
        pass
    assert list(unread) == []


def test_ffmpegs_log_stays_silent_and_its_level_is_kept(
    made: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = scrambled(clip(tmp_path / "a.mp4", draw=drawn, frames=50), 0.3, 0.4)
    av.logging.set_level(av.logging.DEBUG)
    try:
        with open_video(path) as video:
            assert len(list(video)) > 10
            assert video.lost > 0
        assert av.logging.get_level() == av.logging.DEBUG
    finally:
        av.logging.set_level(None)
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records] == ["mien.media.video"]


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    script = """
import resource, sys
from mien.media.video import open_video
with open_video(sys.argv[1]) as video:
    for frame in video:
        if frame.index == 200:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(frame.index, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    path = clip(tmp_path / "a.mp4", frames=4000, size=(160, 120), gop=25, bframes=2)
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    index, grown = map(int, done.stdout.split())
    assert index == 3999
    assert grown < 8_000  # kilobytes; the 3,800 frames are 219 megabytes


# ---------------------------------------------------------------- the parts, without files


def ranked(events: list[tuple[str, int, int]]) -> list[tuple[int, int | None]]:
    """Feed (what, number, pts) into `TimestampOrder` and tell (index, number or None) of what comes out."""
    order: TimestampOrder[int] = TimestampOrder()
    out = []
    for what, number, pts in events:
        if what == "sent":
            order.add_packet(number, pts)
        else:
            out += list(order.add_picture(number, number if what == "got" else None))
    out += list(order.finish())
    return [(placed.index, placed.picture) for placed in out]


def test_ranks_leave_gaps_for_lost_frames() -> None:
    sent = [("sent", n, pts) for n, pts in enumerate([0, 3, 1, 2, 6, 4, 5])]
    got = [("got", 0, 0), ("got", 2, 1), ("bad", 3, 2), ("got", 1, 3), ("got", 6, 5), ("got", 4, 6)]
    assert ranked([*sent, *got]) == [(0, 0), (1, 2), (2, None), (3, 1), (4, None), (5, 6), (6, 4)]


def test_ranks_put_frames_that_come_a_little_late_in_order() -> None:
    sent = [("sent", n, n) for n in range(6)]
    assert ranked([*sent, *(("got", n, n) for n in (0, 2, 1, 3, 5, 4))]) == [(n, n) for n in range(6)]


@given(st.integers(1, 30), st.data())
def test_ranks_account_for_every_packet(n: int, data: st.DataObject) -> None:
    pts = data.draw(st.permutations(range(n)))
    lost = data.draw(st.sets(st.integers(0, n - 1)))
    sent = [("sent", number, stamp) for number, stamp in enumerate(pts)]
    got = [("got", number, 0) for number in sorted(range(n), key=lambda k: pts[k]) if number not in lost]
    out = ranked([*sent, *got])
    assert [index for index, _ in out] == list(range(n))
    assert [picture for _, picture in out] == [None if k in lost else k for k in sorted(range(n), key=lambda k: pts[k])]


def test_counting_notices_what_never_came_and_lets_fields_pass() -> None:
    for fields, lost in ((False, 1), (True, 0)):
        order: ArrivalOrder[int] = ArrivalOrder(fields=fields)
        out = []
        for number in range(200):
            order.add_packet(number, number)
            if number != 50:
                out += list(order.add_picture(number, number))
        out += list(order.finish())
        assert sum(placed.picture is None for placed in out) == lost
        assert [placed.index for placed in out] == list(range(len(out)))


@given(st.floats(1, 60), st.floats(0.5, 80), st.integers(20, 200), st.integers(0, 2))
def test_a_rate_is_kept_whatever_the_frames_times(rate: float, fps: float, frames: int, digits: int) -> None:
    times = [round(i / rate, 3 + digits) for i in range(frames)]
    selector = FrameSelector(FrameSelection(fps=fps), rate)
    taken = [time for i, time in enumerate(times) if selector.selects(i, time)]
    assert taken[0] == 0.0
    if fps >= rate:
        assert taken == times
    else:
        assert len(taken) == pytest.approx(frames / rate * fps, abs=2)
        assert all(b - a < 1 / fps + 1 / rate + 0.01 for a, b in itertools.pairwise(taken))


def test_only_a_few_of_many_faults_get_a_line_each() -> None:
    losses = LossReport(25.0)
    for index in range(1000):
        if index % 10 == 5:
            losses.add_undecodable(index, index / 25)
        else:
            losses.add_decoded(index, index / 25, key=index % 10 == 0)
    assert losses.lost == 100
    assert len(losses.problems) == 9
    assert losses.problems[0] == (
        "frame 5 (0.20 s) could not be decoded; those behind, up to the key frame at 0.40 s, may show traces of the "
        "damage"
    )
    assert losses.problems[-1] == "in other places 92 more could not be decoded"


def test_pauses_of_a_variable_rate_are_no_holes() -> None:
    losses = LossReport(25.0)
    for index, time in enumerate(itertools.accumulate([0.04, 0.04, 0.8] * 50)):
        losses.add_decoded(index, time, key=True)
    assert losses.lost == 0
    steady = LossReport(25.0)
    for index in range(100):
        steady.add_decoded(index, index / 25 + (2.0 if index >= 60 else 0.0), key=True)
    assert steady.lost == 50
    assert steady.problems == ("from 2.40 to 4.40 s about 50 frames are missing in the file",)


# ---------------------------------------------------------------- numbered pictures


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "shots"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(numbered(i)).save(folder / f"img{i}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_numbered_pictures_in_natural_order(shots: Path) -> None:
    for where in (shots, f"{shots}/*.png", f"{shots}/img%d.png", f"{shots}/img%01d.png"):
        with open_numbered_pictures(where, FrameSelection(fps=10)) as source:
            frames = list(source)
        assert [frame.index for frame in frames] == [number_of(frame.rgb) for frame in frames] == list(range(12))
        assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(12)])
        assert frames[3].source == str(shots / "img3.png")
    info = source.info
    assert (info.width, info.height, info.rate, info.frames, info.seconds) == (64, 48, 10.0, 12, 1.2)
    assert [frame.index for frame in open_numbered_pictures(f"{shots}/img%02d.png")] == [0, 1]  # img10 and img11


def test_numbered_pictures_chosen_and_resumed(shots: Path) -> None:
    def indices(after: int | None = None, **selection: float) -> list[int]:
        chosen = FrameSelection(fps=10, **selection)  # type: ignore[arg-type]
        return [frame.index for frame in open_numbered_pictures(shots, chosen, after=after)]

    assert indices(every=5) == [0, 5, 10]
    assert indices(start=0.3, end=0.6) == [3, 4, 5]
    assert indices(every=5, after=5) == [10]
    assert indices(after=11) == []
    assert open_numbered_pictures(shots, FrameSelection(fps=10, every=5)).info.frames == 3


def test_unreadable_pictures_are_lost_frames(shots: Path) -> None:
    from PIL import Image

    (shots / "img0.png").write_bytes(b"no picture")
    (shots / "img7.png").write_bytes((shots / "img7.png").read_bytes()[:100])
    Image.fromarray(numbered(9, (80, 60))).save(shots / "img9.png")
    with open_numbered_pictures(shots) as source:
        assert source.info.width == 64
        assert [frame.index for frame in source] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert (source.lost, source.dropped) == (2, 0)
    first, second, third = source.problems
    assert "img0.png: holds text, not a picture" in first
    assert "img7.png: ends too early" in second
    assert third.endswith("img9.png: from here on pictures have other sizes")
    for i in range(12):
        (shots / f"img{i}.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"none of the 12 pictures can be read; the first: .*img0\.png: holds text"):
        open_numbered_pictures(shots)


def test_folders_without_pictures(tmp_path: Path) -> None:
    for where, message in (
        (tmp_path / "gone", "no such file or folder"),
        (tmp_path, "no file ending in"),
        (f"{tmp_path}/x%d.png", "no file has such a name; check the pattern and the folder"),
        (f"{tmp_path}/gone/x%d.png", "cannot be read: No such file or directory"),
    ):
        with pytest.raises(MissingFileError, match=message):
            open_numbered_pictures(where)
    picture(tmp_path / "a.png", "PNG")
    with pytest.raises(InputError, match="is one file; give the folder of the pictures, or a pattern"):
        open_numbered_pictures(tmp_path / "a.png")
    with pytest.raises(InputError, match="fps is a number above 0, got 0"):
        open_numbered_pictures(tmp_path, FrameSelection(fps=0))
