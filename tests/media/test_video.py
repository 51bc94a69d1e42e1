"""Video files: every frame with its own number and time, whatever the container; losses counted and reported."""

from __future__ import annotations

import contextlib
import itertools
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import av.logging
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.clips import clip, number_of, scrambled, shortened
from helpers.video_files import FRAMES, KINDS, KINDS_OF_LONG, TIMES, VARIABLE, drawn, read_clip
from mien.errors import InputError, MienError, VideoError
from mien.media.selection import FrameSelection
from mien.media.video import open_video


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_all_frames_in_order(kind: str, made: Callable[..., Path]) -> None:
    frames = read_clip(made(kind))
    assert [index for index, _, _ in frames] == list(range(FRAMES))
    assert [number for _, number, _ in frames] == list(range(FRAMES))
    first = 0.04 if kind == "mpeg4.avi" else 0.0  # AVI's clock starts one frame before the first picture
    assert [time for *_, time in frames] == pytest.approx([first + i / 25 for i in range(FRAMES)], abs=0.002)


@pytest.mark.parametrize("kind", VARIABLE)
def test_variable_rate_keeps_true_times(kind: str, made: Callable[..., Path]) -> None:
    frames = read_clip(made(kind, variable=True))
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
    whole = read_clip(path, **choice)
    assert len(whole) >= 4
    for cut in (0, len(whole) // 2, len(whole) - 2):
        assert read_clip(path, **choice, after=whole[cut][0]) == whole[cut + 1 :]


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
    frames = read_clip(made(kind))
    first, last = start or 0.0, choice["end"] or 99.0
    wanted = [frame for frame in frames if first <= frame[2] < last and frame[0] % every == 0]
    assert read_clip(made(kind), **choice) == wanted
    assert read_clip(made(kind), **choice, after=after) == [frame for frame in wanted if frame[0] > after]


def test_start_and_end_in_seconds(made: Callable[..., Path]) -> None:
    assert [f[0] for f in read_clip(made("h264.mp4"), start=0.4, end=0.6)] == [10, 11, 12, 13, 14]
    assert [f[0] for f in read_clip(made("h264.ts"), start=1.5)] == [38, 39]
    assert read_clip(made("raw.mjpeg"), start=100.0) == []
    with pytest.raises(InputError, match=r"start is after the end of the video, at 1\.60 s: got 2\.0"):
        open_video(made("h264.mp4"), FrameSelection(start=2.0))


def test_every_and_fps_choose_by_number_and_by_time(made: Callable[..., Path]) -> None:
    assert [f[0] for f in read_clip(made("h264.mp4"), every=7)] == [0, 7, 14, 21, 28, 35]
    assert [f[0] for f in read_clip(made("h264.mkv"), fps=5)] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert len(read_clip(made("h264.mkv"), fps=25)) == len(read_clip(made("h264.mkv"), fps=1000)) == FRAMES
    times = [time for *_, time in read_clip(made("h264.mp4", variable=True), fps=4)]
    rate = open_video(made("h264.mp4", variable=True)).info.rate
    assert rate is not None
    slots = [int((time + 0.5 / max(rate, 4)) * 4) for time in times]
    assert len(set(slots)) == len(slots) < FRAMES  # at most one of each quarter of a second


def test_the_clock_is_that_of_the_sound(tmp_path: Path) -> None:
    later = clip(tmp_path / "later.mp4", times=[1.0, 1.1, 1.2], audio=2.0)
    assert [time for *_, time in read_clip(later)] == pytest.approx([1.0, 1.1, 1.2], abs=0.03)
    with open_video(later) as video:
        assert video.info.has_audio
    early = clip(tmp_path / "early.mkv", frames=10, audio=0.5, audio_start=0.1)
    assert read_clip(early)[0][2] == pytest.approx(0.0, abs=0.001)


def test_equal_time_stamps_still_move_time_on(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", times=[0.0, 0.1, 0.2, 0.3, 0.4], codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = {200: 100, 300: 100}.get(packet.pts, packet.pts)
                packet.stream = stream
                target.mux(packet)
    times = [time for *_, time in read_clip(tmp_path / "b.mkv")]
    assert times == pytest.approx([0.0, 0.1, 0.1, 0.1, 0.4], abs=1e-4)
    assert all(a < b for a, b in itertools.pairwise(times))
    assert read_clip(tmp_path / "b.mkv", after=2) == read_clip(tmp_path / "b.mkv")[3:]


@pytest.mark.parametrize(("count", "joint"), [(50, "1.92"), (16, "0.56")])
def test_joined_recordings_go_on_where_the_clock_jumps(tmp_path: Path, count: int, joint: str) -> None:
    parts = [clip(tmp_path / f"{i}.ts", frames=count, bframes=2) for i in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(joined) as video:
        frames = [(frame.index, number_of(frame.rgb), frame.time) for frame in video]
    numbers = [number for _, number, _ in frames]
    assert numbers == [*range(count), *range(count)]
    times = [time for *_, time in frames]
    assert times == pytest.approx([i / 25 for i in range(2 * count)], abs=0.13)
    assert all(a + 0.02 < b for a, b in itertools.pairwise(times))
    assert any(f"clock jumps at {joint} s" in line for line in video.problems)
    with open_video(joined, after=count + 10) as video:
        assert [(frame.index, number_of(frame.rgb), frame.time) for frame in video] == frames[count + 11 :]


def test_a_size_that_changes_is_reported_once_and_frames_have_their_own(tmp_path: Path) -> None:
    parts = [clip(tmp_path / f"{i}.h264", frames=5, size=size) for i, size in enumerate([(64, 48), (96, 64)])]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(joined) as video:
        sizes = [frame.size for frame in video]
    assert sizes == [(64, 48)] * 5 + [(96, 64)] * 5
    assert [line for line in video.problems if "96 × 64" in line] == ["the picture becomes 96 × 64 at 0.20 s (frame 5)"]


def test_interlaced_frames_are_left_whole(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.ts", frames=20, codec="mpeg2video", options={"flags": "+ildct+ilme", "top": "1"})
    assert [number for _, number, _ in read_clip(path)] == list(range(20))


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


def test_losses_are_logged_once_at_the_end(
    tmp_path: Path, long: Callable[[str, Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = scrambled(long("a.mp4", tmp_path), 0.5, 0.55)
    with open_video(path) as video:
        next(iter(video))
        assert not caplog.records
        list(video)
    assert video.problems
    assert [record.getMessage() for record in caplog.records] == [f"{path}: {line}" for line in video.problems]
    assert {(record.name, record.levelname) for record in caplog.records} == {("mien.media.video", "WARNING")}
