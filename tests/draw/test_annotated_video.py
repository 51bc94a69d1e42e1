"""Annotated videos: labels that stay where they are, frames at their own times, sound in step, files that survive."""

from __future__ import annotations

import itertools
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.clips import clip, number_of, numbered, scrambled, shortened
from helpers.faces import predictions
from helpers.videos import background, made_frame, made_frames
from mien.draw import soundtrack, video_parts
from mien.draw.annotated_video import AnnotatedVideo
from mien.draw.encoder import TICKS, check_complete
from mien.draw.frame_size import even_size, fit_frame
from mien.draw.label_layout import PanelPlacement, place_panels
from mien.draw.overlay import VideoOverlay, draw_video_frame
from mien.draw.panel import PanelDetail
from mien.errors import InputError, MienError, OutputError
from mien.geometry import iou
from mien.results.video import VideoFrame

SIZE = (160, 120)
FRAMES = list(made_frames(60, size=SIZE))


def plain(index: int, size: tuple[int, int] = (64, 48)) -> VideoFrame:
    """A frame without faces that shows its number."""
    return made_frame(index, tracks=(), size=size, pixels=numbered(index, size))


NUMBERED = [plain(i) for i in range(60)]


def write(path: Path, frames: Sequence[VideoFrame], *, flush: int = 0, audio: Path | None = None) -> AnnotatedVideo:
    video = AnnotatedVideo(path, preset="ultrafast", threads=1)
    for i, frame in enumerate(frames, 1):
        video.write(frame)
        if flush and i % flush == 0:
            video.flush()
    assert video.close(audio_from=audio) == (path if frames else None)
    return video


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Times in seconds and RGB pictures."""
    with av.open(str(path)) as source:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in source.decode(video=0)]
    return [time for time, _ in frames], [rgb for _, rgb in frames]


def at(frame: VideoFrame, time: float) -> VideoFrame:
    return replace(frame, frame=replace(frame.frame, time=time))


# ---------------------------------------------------------------- drawing


def test_a_drawn_frame() -> None:
    frame = made_frame(30)
    drawn = draw_video_frame(frame)
    assert drawn.shape == frame.frame.rgb.shape
    assert drawn.dtype == np.uint8
    assert np.array_equal(frame.frame.rgb, background(640, 480, 30))
    assert 0.05 < (drawn != frame.frame.rgb).any(axis=2).mean() < 0.5
    nobody = made_frame(30, tracks=())
    assert np.array_equal(draw_video_frame(nobody), nobody.frame.rgb)


def test_labels_show_what_is_stable() -> None:
    frame = made_frame(30, tracks=(7,))
    overlay = VideoOverlay()
    drawn = overlay.draw(frame)
    # the frame's own emotions may say anything
    assert frame.faces.emotions is not None
    assert frame.faces.ages is not None
    rolled = predictions(emotions=np.roll(frame.faces.emotions, 3, axis=1))
    other = replace(frame, faces=frame.faces.with_predictions(rolled))
    assert np.array_equal(VideoOverlay().draw(other), drawn)
    smoothed = frame.smoothed["emotion"]
    years = predictions(ages=np.roll(frame.faces.ages, 2, axis=1))
    for changed in (
        replace(frame, smoothed={"emotion": replace(smoothed, labels=("fear",))}),
        replace(frame, smoothed={"emotion": replace(smoothed, labels=(None,))}),
        replace(
            frame, smoothed={"emotion": replace(smoothed, probabilities=np.roll(smoothed.probabilities, 1, axis=1))}
        ),
        replace(frame, faces=replace(frame.faces, tracks=np.array([8]))),
        replace(frame, faces=frame.faces.with_predictions(years)),
    ):
        assert not np.array_equal(VideoOverlay().draw(changed), drawn)


@pytest.mark.parametrize("options", [{"emotions": False}, {"ages": False}, {"emotions": False, "ages": False}])
def test_models_that_did_not_run(options: dict[str, bool]) -> None:
    frame = made_frame(30, **options)
    assert (draw_video_frame(frame) != frame.frame.rgb).any()


def test_ages_that_are_not_known_yet() -> None:
    frame = made_frame(30, tracks=(1,))
    never = predictions(ages=np.full((1, 9), np.nan, np.float32))
    unknown = replace(frame, faces=frame.faces.with_predictions(never))
    assert np.array_equal(draw_video_frame(unknown), draw_video_frame(made_frame(30, tracks=(1,), ages=False)))


def places_of(frames: Sequence[VideoFrame]) -> list[dict[int, PanelPlacement]]:
    overlay = VideoOverlay()
    places = []
    for frame in frames:
        overlay.draw(frame)
        places.append({track: held.placement for track, held in overlay._previous.items()})
    return places


def test_labels_do_not_jump() -> None:
    """Faces that sway and emotions that change leave size and side alone, and move a label no more than its face."""
    frames = [made_frame(i) for i in range(90)]
    places = places_of(frames)
    for track, (before, after) in itertools.product((1, 2), itertools.pairwise(places)):
        a, b = before[track].rect, after[track].rect
        assert (a[2] - a[0], a[3] - a[1]) == (b[2] - b[0], b[3] - b[1])
        assert before[track].side == after[track].side
        assert max(abs(p - q) for p, q in zip(a, b, strict=True)) <= 3
    assert {place_panels[1].detail for place_panels in places} == {PanelDetail.FULL}


def test_boxes_that_tremble_leave_the_label_still() -> None:
    rng = np.random.default_rng(0)
    still = made_frame(30)
    trembling = [
        replace(
            still, faces=replace(still.faces, boxes=still.faces.boxes + rng.uniform(-1, 1, (2, 4)).astype(np.float32))
        )
        for _ in range(40)
    ]
    rects = {place_panels[1].rect for place_panels in places_of(trembling)}
    assert len(rects) <= 3


def test_a_new_face_does_not_push_labels_away() -> None:
    places = places_of([made_frame(30, tracks=(1, 2)), *(made_frame(30, tracks=(1, 2)) for _ in range(3))])
    alone, joined = made_frame(30, tracks=(1,)), made_frame(30, tracks=(1,))
    box = alone.faces.boxes[0]
    both = made_frame(30, tracks=(1, 2))
    both = replace(both, faces=replace(both.faces, boxes=np.stack([box, box + np.float32(160)])))
    first, second = places_of([joined, both])
    assert first[1].rect == second[1].rect
    assert places[0] == places[-1]


def test_a_label_moves_when_it_would_cover_a_face() -> None:
    """One face walks into the place of the other's label."""
    frames = []
    for i in range(60):
        frame = made_frame(i, tracks=(1, 2))
        boxes = np.array([[260, 250, 360, 370], [10 + 5 * i, 90, 100 + 5 * i, 200]], np.float32)
        frames.append(replace(frame, faces=replace(frame.faces, boxes=boxes)))
    covered = []
    for frame, places in zip(frames, places_of(frames), strict=True):
        rects = np.array([place_panels.rect for place_panels in places.values()], np.float32)
        assert iou(rects[:1], rects[1:]).max() == 0
        covered.append(iou(rects, frame.faces.boxes).max())
    assert max(covered) < 0.2
    moves = sum(a[1].side != b[1].side for a, b in itertools.pairwise(places_of(frames)))
    assert 1 <= moves <= 6


def test_a_label_shows_more_when_there_is_room_again() -> None:
    boxes = np.array([[40, 40, 60, 60]], np.float32)

    def extent(k: int, detail: PanelDetail, em: int) -> tuple[int, int]:
        return (30, 40) if detail is PanelDetail.FULL else (10, 8)

    held: list[PanelPlacement | None] = [PanelPlacement(PanelDetail.NAME, 11, (40, 30, 50, 38))]
    for _ in range(60):
        held = list(place_panels(boxes, (200, 200), extent, 2, held))
    assert held[0] is not None
    assert held[0].detail is PanelDetail.FULL
    first = place_panels(boxes, (200, 200), extent, 2, [PanelPlacement(PanelDetail.NAME, 11, (40, 30, 50, 38))])[0]
    assert first is not None
    assert first.detail is PanelDetail.NAME


def test_a_cut_and_faces_that_left_are_forgotten() -> None:
    overlay = VideoOverlay()
    overlay.draw(made_frame(0))
    overlay.draw(made_frame(1, tracks=(5,), cut=True))
    assert set(overlay._previous) == {5}
    for i in range(60):
        overlay.draw(made_frame(i, tracks=(6,)))
    assert set(overlay._previous) == {6}


@given(st.lists(st.tuples(*[st.floats(-50, 700, width=32)] * 4), max_size=5), st.integers(1, 400), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_any_boxes_in_any_frame(boxes: list[tuple[float, ...]], width: int, height: int) -> None:
    frame = made_frame(3, tracks=tuple(range(1, len(boxes) + 1)), size=(width, height))
    wild = replace(frame, faces=replace(frame.faces, boxes=np.array(boxes, np.float32).reshape(-1, 4)))
    overlay = VideoOverlay()
    for moment in (frame, wild, frame, wild):
        assert overlay.draw(moment).shape == (height, width, 3)
        for held in overlay._previous.values():
            if held.placement is not None:
                x1, y1, x2, y2 = held.placement.rect
                assert 0 <= x1 < x2 <= width
                assert 0 <= y1 < y2 <= height


# ---------------------------------------------------------------- frames and times


@pytest.mark.parametrize(
    "times",
    [
        [i / 25 for i in range(20)],
        [i * 1001 / 30000 for i in range(20)],
        [0.0, 0.04, 0.1, 0.5, 0.52, 3.0],
        [12.5, 12.54, 13.0],
        [7.0],
    ],
)
@pytest.mark.parametrize("flush", [0, 3])
def test_frames_are_shown_at_their_times(tmp_path: Path, times: list[float], flush: int) -> None:
    write(tmp_path / "a.mp4", [at(FRAMES[i], time) for i, time in enumerate(times)], flush=flush)
    reported, pictures = decoded(tmp_path / "a.mp4")
    assert reported == pytest.approx([time - times[0] for time in times], abs=0.6 / TICKS)
    overlay = VideoOverlay()
    for frame, picture in zip(FRAMES, pictures, strict=False):
        assert np.abs(overlay.draw(frame).astype(int) - picture).mean() < 8
    with av.open(str(tmp_path / "a.mp4")) as source:
        stream = source.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.frames == len(times)
        shown = times[-1] - times[-2] if len(times) > 1 else 0.04
        assert float(stream.duration * stream.time_base) == pytest.approx(times[-1] + shown - times[0], abs=0.001)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_times_that_stand_still_or_go_back(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.04, 0.02, 0.08]
    write(tmp_path / "a.mp4", [at(FRAMES[i], time) for i, time in enumerate(times)])
    reported, _ = decoded(tmp_path / "a.mp4")
    assert len(reported) == 5
    assert all(a < b for a, b in itertools.pairwise(reported))
    assert reported == pytest.approx(times, abs=0.021)


def test_the_index_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", FRAMES[:5])
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_colours_are_kept_and_named(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (255, 255, 255), (0, 0, 0)]
    pictures = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    frames = [made_frame(i, tracks=(), size=(64, 48), pixels=picture) for i, picture in enumerate(pictures)]
    write(tmp_path / "a.mp4", frames)
    with av.open(str(tmp_path / "a.mp4")) as source:
        context = source.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        for frame, colour in zip(source.decode(video=0), colours, strict=True):
            rgb = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
            assert np.abs(rgb.astype(int) - colour).max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (63, 48), (64, 47), (33, 35), (640, 2)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = list(made_frames(3, size=size))
    write(tmp_path / "a.mp4", frames)
    _, pictures = decoded(tmp_path / "a.mp4")
    assert {picture.shape for picture in pictures} == {(size[1] + size[1] % 2, size[0] + size[0] % 2, 3)}


def test_odd_sizes_are_not_scaled() -> None:
    frame = made_frame(5, size=(63, 47))
    grown = fit_frame(frame, (64, 48))
    assert np.array_equal(grown.frame.rgb[:47, :63], frame.frame.rgb)
    assert np.array_equal(grown.frame.rgb[47, :63], frame.frame.rgb[46])
    assert np.array_equal(grown.faces.boxes, frame.faces.boxes)
    assert fit_frame(made_frame(5, size=(64, 48)), (64, 48)).frame.rgb.shape == (48, 64, 3)


def test_frames_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    sizes = [(64, 48), (200, 100), (30, 60)]
    write(tmp_path / "a.mp4", [made_frame(i, tracks=(), size=size) for i, size in enumerate(sizes)], flush=1)
    _, pictures = decoded(tmp_path / "a.mp4")
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    assert pictures[1][:6].max() < 30  # black above the wide one
    assert pictures[1][24].mean() > 60
    assert pictures[2][:, :18].max() < 30  # and beside the tall one
    frame = made_frame(1, size=(200, 100))
    wide = fit_frame(frame, (64, 48))
    assert wide.faces.image_size == (64, 48)
    middle = (wide.faces.boxes[:, :2] + wide.faces.boxes[:, 2:]) / 2
    before = (frame.faces.boxes[:, :2] + frame.faces.boxes[:, 2:]) / 2
    assert np.allclose(middle, before * 0.32 + [0, 8], atol=0.01)


def test_large_frames_are_made_smaller(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "a.mp4", limit=101) as video:
        for i in range(2):
            video.write(made_frame(i, tracks=(), size=(400, 301)))
    _, pictures = decoded(tmp_path / "a.mp4")
    assert {picture.shape for picture in pictures} == {(76, 100, 3)}
    assert pictures[0][-1].mean() > 60  # no black edge
    for size in ((7680, 4320), (4096, 10), (5000, 3001), (1, 9000)):
        width, height = even_size(size, 4096)
        assert max(width, height) <= 4096
        assert width % 2 == height % 2 == 0
        assert min(width, height) >= 2


def test_no_frames(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "a.avi", "an annotated video is an MP4 file; use the suffix .mp4"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(InputError, match=message):
            AnnotatedVideo(path)
    with pytest.raises(InputError, match="limit is a number of pixels, at least 2, got 1"):
        AnnotatedVideo(tmp_path / "a.mp4", limit=1)
    with pytest.raises(InputError, match="keep is a number of frames, at least 0, got -1"):
        AnnotatedVideo(tmp_path / "a.mp4", keep=-1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"file.*a\.mp4: cannot be written: "):
        AnnotatedVideo(tmp_path / "file" / "a.mp4")
    video = write(tmp_path / "a.mp4", FRAMES[:2])
    assert video.close() == tmp_path / "a.mp4"
    with pytest.raises(InputError, match="is closed"):
        video.write(FRAMES[2])


@pytest.mark.parametrize("name", ["2024-01-01T10:00 %03d.mp4", "concat:a|b.mp4", "'quoted' é.MP4", "caf\udce9.mp4"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    video = write(tmp_path / "new folder" / name, FRAMES[:3], flush=2)
    (made,) = (tmp_path / "new folder").iterdir()
    assert made == video.path
    with made.open("rb") as data, av.open(data) as source:
        assert sum(1 for _ in source.decode(video=0)) == 3


def test_relative_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a:b.mp4"), FRAMES[:2])
    assert [path.name for path in tmp_path.iterdir()] == ["a:b.mp4"]


# ---------------------------------------------------------------- kills and full disks


def test_what_was_flushed_can_be_played(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "a.mp4", preset="ultrafast", threads=1)
    for i, frame in enumerate(FRAMES, 1):
        video.write(frame)
        if i % 20 == 0:
            video.flush()
            parts = sorted(video.folder.glob("*.mp4"))
            assert sum(len(decoded(part)[0]) for part in parts) == i
    assert not (tmp_path / "a.mp4").exists()


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_resumed_run_ends_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("resume")
    path = folder / "a.mp4"
    frames = NUMBERED[:24]
    done = data.draw(st.integers(0, len(frames)))
    beyond = data.draw(st.integers(0, len(frames) - done))
    aligned = data.draw(st.booleans())
    video = AnnotatedVideo(path, preset="ultrafast", threads=1)
    for i, frame in enumerate(frames[: done + beyond], 1):
        video.write(frame)
        if i % 7 == 0 or (aligned and i == done):
            video.flush()
    video.stop()
    with AnnotatedVideo(path, keep=done, preset="ultrafast", threads=1) as video:
        for frame in frames[done:]:
            video.write(frame)
        assert video.frames == len(frames)
    reported, pictures = decoded(path)
    assert reported == [round(frame.time * TICKS) / TICKS for frame in frames]
    assert [number_of(picture) for picture in pictures] == list(range(24))
    assert [p.name for p in folder.iterdir()] == ["a.mp4"]


def test_going_on_with_a_finished_file(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", FRAMES[:5])
    data = (tmp_path / "a.mp4").read_bytes()
    video = AnnotatedVideo(tmp_path / "a.mp4", keep=5)
    assert video.close(audio_from=tmp_path / "none.mp4") == tmp_path / "a.mp4"
    assert (tmp_path / "a.mp4").read_bytes() == data
    for keep in (4, 6):
        with pytest.raises(InputError, match=f"holds 0 frames, but the run to resume had written {keep}"):
            AnnotatedVideo(tmp_path / "a.mp4", keep=keep)


def test_starting_again_forgets_the_parts(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "a.mp4")
    video.write(FRAMES[0])
    video.stop()
    write(tmp_path / "a.mp4", FRAMES[:2])
    assert len(decoded(tmp_path / "a.mp4")[0]) == 2


SCRIPT = """
import sys
from helpers.clips import clip, number_of, numbered, scrambled, shortened
from helpers.videos import made_frames
from mien.draw.annotated_video import AnnotatedVideo
video = AnnotatedVideo(sys.argv[1], preset="ultrafast", threads=1)
for frame in made_frames(100_000, size=(160, 120)):
    video.write(frame)
    if video.frames % 10 == 0:
        video.flush()
        print(video.frames, flush=True)
"""


def test_a_real_kill(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    lines = [int(process.stdout.readline()) for _ in range(random.randint(1, 4))]
    process.send_signal(signal.SIGKILL)
    keep = max([*lines, *(int(line) for line in process.stdout.read().splitlines())])
    process.wait()
    process.stdout.close()
    parts = sorted((tmp_path / "a.mp4.parts").glob("*.mp4"))
    assert sum(len(decoded(part)[0]) for part in parts) >= keep
    with AnnotatedVideo(path, keep=keep) as video:
        video.write(made_frame(keep, size=SIZE))
    assert decoded(path)[0] == [round(i / 25 * TICKS) / TICKS for i in range(keep + 1)]


def test_an_error_stops_but_keeps(tmp_path: Path) -> None:
    def broken() -> None:
        with AnnotatedVideo(tmp_path / "a.mp4") as video:
            video.write(FRAMES[0])
            raise MienError("the camera went away")

    with pytest.raises(MienError, match="camera"):
        broken()
    with AnnotatedVideo(tmp_path / "a.mp4", keep=1):
        pass
    assert len(decoded(tmp_path / "a.mp4")[0]) == 1


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """While a part is written, and again while the parts are joined."""
    rng = np.random.default_rng(0)
    noise = [
        made_frame(i, tracks=(), size=SIZE, pixels=rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        for i in range(20)
    ]
    video = AnnotatedVideo(tmp_path / "a.mp4", threads=1)

    def fill() -> None:
        for frame in noise * 20:
            video.write(at(frame, video.frames / 25))
            if video.frames == 4:
                video.flush()

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"a\.mp4: cannot be written: File too large; what was written before is"):
            fill()
        assert video.frames == 4
        (part,) = video.folder.glob("*.mp4")
        assert len(decoded(part)[0]) == 4
        for frame in noise[:2]:
            video.write(at(frame, video.frames / 25))
        video.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (part.stat().st_size + 2_000, before[1]))
        with pytest.raises(OutputError, match=r"a\.mp4: cannot be written: File too large"):
            video.close()
        assert len(list(video.folder.glob("*.mp4"))) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert video.close() == tmp_path / "a.mp4"
    assert len(decoded(tmp_path / "a.mp4")[0]) == 6


def test_the_last_bytes_that_cannot_be_written(tmp_path: Path) -> None:
    """FFmpeg reports nothing when they are lost while a file is closed."""
    rng = np.random.default_rng(0)
    noise = [
        made_frame(i, tracks=(), size=SIZE, pixels=rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        for i in range(3)
    ]
    write(tmp_path / "whole.mp4", noise)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    failed = 0
    for share in (0.2, 0.5, 0.9, 0.98, 0.995, 1.2):
        video = AnnotatedVideo(tmp_path / "a.mp4", preset="ultrafast", threads=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (round(share * (tmp_path / "whole.mp4").stat().st_size), before[1]))
        try:
            for frame in noise:
                video.write(frame)
            video.flush()
        except OutputError:
            failed += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        parts = list(video.folder.glob("*.mp4"))
        assert [len(decoded(part)[0]) for part in parts] == ([3] if video.frames else [])
        video.stop()
    assert 3 <= failed <= 5


def test_files_that_end_too_early(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", FRAMES[:4])
    data = (tmp_path / "a.mp4").read_bytes()
    check_complete(tmp_path / "a.mp4")
    for size in range(0, len(data), 997):
        (tmp_path / "b.mp4").write_bytes(data[:size])
        with pytest.raises(OSError, match="it ends too early: is the disk full"):
            check_complete(tmp_path / "b.mp4")


# ---------------------------------------------------------------- sound

FLASH, RATE = 1.0, 48_000


def beeping(path: Path, codec: str, *, seconds: float = 2.0, start: float = 0.0, channels: int = 1) -> Path:
    """A clip that flashes white and beeps at `FLASH`; ``start`` moves the clock of both streams."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4" if path.suffix != ".webm" else "libvpx", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream(codec, rate=RATE, layout="mono" if channels == 1 else "stereo")
        for i in range(round(seconds * 25)):
            white = i == round(25 * FLASH)
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * white, np.uint8), "rgb24")
            frame.pts, frame.time_base = i + round(start * 25), Fraction(1, 25)
            output.mux(video.encode(frame))
            t = (np.arange(RATE // 25) + i * RATE // 25) / RATE
            wave = np.where((t >= FLASH) & (t < FLASH + 0.1), 0.8 * np.sin(2 * np.pi * 1000 * t), 0).astype(np.float32)
            sound = av.AudioFrame.from_ndarray(
                np.stack([wave] * channels), "fltp", "mono" if channels == 1 else "stereo"
            )
            sound.sample_rate, sound.time_base = RATE, Fraction(1, RATE)
            sound.pts = round((i / 25 + start) * RATE)
            output.mux(audio.encode(sound))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


def analysed(path: Path, *, first: int = 0, last: int | None = None, every: int = 1) -> list[VideoFrame]:
    """The frames of a clip as a source would give them, without a face."""
    with av.open(str(path)) as source:
        start = (source.start_time or 0) / 1_000_000
    times, pictures = decoded(path)
    return [
        at(made_frame(i, tracks=(), size=(64, 48), pixels=pictures[i]), times[i] - start)
        for i in range(first, len(times) if last is None else last, every)
    ]


def beep(path: Path) -> float:
    """Seconds at which the sound becomes loud."""
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            samples = frame.to_ndarray().reshape(-1)
            full = np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else 1.0
            loud = np.flatnonzero(np.abs(samples / full) > 0.2)
            if len(loud):
                assert frame.time is not None
                return frame.time + int(loud[0]) / frame.sample_rate
    raise AssertionError("no beep")


def flash(path: Path) -> float:
    times, pictures = decoded(path)
    return times[int(np.argmax([picture.mean() for picture in pictures]))]


@pytest.mark.parametrize(
    ("suffix", "codec", "taken"),
    [
        (".mp4", "aac", "aac"),
        (".mkv", "aac", "aac"),
        (".ts", "aac", "aac"),
        (".mkv", "libmp3lame", "mp3float"),
        (".avi", "libmp3lame", "mp3float"),
        (".webm", "libopus", "opus"),
        (".mkv", "ac3", "ac3"),
        (".mkv", "pcm_s16le", "aac"),
        (".mkv", "mp2", "aac"),
    ],
)
def test_sound_is_in_step(tmp_path: Path, suffix: str, codec: str, taken: str) -> None:
    original = beeping(tmp_path / f"in{suffix}", codec)
    for first in (0, 13) if suffix == ".mp4" else (13,):
        out = tmp_path / f"out{first}.mp4"
        frames = analysed(original, first=first)
        video = write(out, frames, flush=10, audio=original)
        assert video.problems == ()
        with av.open(str(out)) as source:
            assert source.streams.audio[0].codec_context.name == taken
        assert flash(out) == pytest.approx(flash(original) - decoded(original)[0][first], abs=0.001)
        assert beep(out) - flash(out) == pytest.approx(beep(original) - flash(original), abs=0.002)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_is_cut_to_the_frames(tmp_path: Path, codec: str) -> None:
    original = beeping(tmp_path / "in.mkv", codec, seconds=3.0, start=2.0, channels=2)
    write(tmp_path / "out.mp4", analysed(original, first=5, last=35), audio=original)
    with av.open(str(tmp_path / "out.mp4")) as source:
        seconds = sum(frame.samples for frame in source.decode(audio=0)) / RATE
        assert source.streams.audio[0].codec_context.channels == 2
    assert seconds == pytest.approx(30 / 25, abs=0.05)
    assert beep(tmp_path / "out.mp4") == pytest.approx(flash(tmp_path / "out.mp4"), abs=0.002)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_that_starts_later(tmp_path: Path, codec: str) -> None:
    silent, late = clip(tmp_path / "a.mkv", frames=50), tmp_path / "b.mkv"
    with av.open(str(silent)) as pictures, av.open(str(late), "w") as output:
        video = output.add_stream_from_template(pictures.streams.video[0])
        audio = output.add_stream(codec, rate=RATE, layout="mono")
        t = np.arange(RATE) / RATE
        frame = av.AudioFrame.from_ndarray((0.8 * np.sin(2 * np.pi * 500 * t)).astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), RATE * 4 // 5
        for packet in pictures.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    write(tmp_path / "out.mp4", [at(frame, i / 25) for i, frame in enumerate(NUMBERED[:50])], audio=late)
    assert beep(tmp_path / "out.mp4") == pytest.approx(0.8, abs=0.03)


def test_originals_without_sound(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    for original, problems in (
        (clip(tmp_path / "silent.mp4"), 0),
        (tmp_path / "folder", 0),
        (tmp_path / "gone.mp4", 0),
        (tmp_path / "text.mp4", 1),
    ):
        video = write(tmp_path / "out.mp4", NUMBERED[:5], audio=original)
        assert len(video.problems) == problems
        with av.open(str(tmp_path / "out.mp4")) as source:
            assert len(source.streams.audio) == 0
            assert sum(1 for _ in source.decode(video=0)) == 5
    assert video.problems[0].startswith("text.mp4: the sound could not be copied: Invalid data")


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le", "mp2"])
def test_damaged_sound_does_not_cost_the_pictures(tmp_path: Path, codec: str) -> None:
    original = beeping(tmp_path / "in.mkv", codec)
    frames = analysed(original)
    scrambled(original, 0.3, 0.5)
    write(tmp_path / "out.mp4", frames, audio=original)
    assert len(decoded(tmp_path / "out.mp4")[0]) == 50
    shortened(original, 0.4)
    (tmp_path / "out.mp4").unlink()
    write(tmp_path / "out.mp4", frames, audio=original)
    assert len(decoded(tmp_path / "out.mp4")[0]) == 50


def test_sound_that_mp4_turns_down_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = beeping(tmp_path / "in.mkv", "flac")
    monkeypatch.setattr(soundtrack, "COPIED", ("flac",))
    refused = video_parts._mux_sound

    def turn_down(output: object, packet: av.Packet | None = None) -> None:
        if packet is None or packet.stream.codec_context.name == "flac":
            raise video_parts._SoundRefusedError("the sound could not be copied: not in MP4")
        refused(output, packet)

    monkeypatch.setattr(video_parts, "_mux_sound", turn_down)
    video = write(tmp_path / "out.mp4", analysed(original), audio=original)
    assert video.problems == ()
    with av.open(str(tmp_path / "out.mp4")) as source:
        assert source.streams.audio[0].codec_context.name == "aac"
    monkeypatch.setattr(video_parts, "_mux_sound", lambda *_: turn_down(None))
    video = write(tmp_path / "out.mp4", analysed(original), audio=original)
    assert video.problems == ("the sound could not be copied: not in MP4",)
    assert len(decoded(tmp_path / "out.mp4")[0]) == 50
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["in.mkv", "out.mp4"]


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="devices of POSIX")
def test_a_device_is_written_through_and_no_parts_are_left() -> None:
    for end in (AnnotatedVideo.close, AnnotatedVideo.stop):
        video = AnnotatedVideo("/dev/null")
        video.write(next(iter(made_frames(1, size=(64, 48)))))
        assert video.folder.is_dir()
        end(video)
        assert not video.folder.exists()
    assert Path("/dev/null").is_char_device()
