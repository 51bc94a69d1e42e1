"""Blurred faces: nothing of the original is left but coarse means, on every frame on which the face may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from helpers.clips import Pan, clip
from helpers.pictures import astronaut
from helpers.videos import made_frames, report_of, rows_of
from mien.cli import analyze
from mien.draw.blur import EXTENSION, MARGIN, STYLES, WHOSE, Blur, boxes_to_hide
from mien.draw.blurred_video import rows_by_frame, video_frame, write_blurred_video
from mien.draw.overlay import draw_video_frame
from mien.draw.thumbnails import crop_thumbnails
from mien.errors import InputError
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.jobs import VideoJob, VideoOutputs
from mien.results.faces import Faces

BOX = (40.0, 30.0, 88.0, 90.0)
SIDE = 60.0
RNG = np.random.default_rng(8)


def noise(height: int = 120, width: int = 160) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def inside(shape: tuple[int, ...]) -> np.ndarray:
    """Which pixels lie in the grown box."""
    mask = np.zeros(shape[:2], bool)
    grown = MARGIN * SIDE
    mask[int(30 - grown) : int(90 + grown), int(40 - grown) : int(88 + grown)] = True
    return mask


@pytest.mark.parametrize("style", STYLES)
def test_every_pixel_of_the_face_is_replaced_and_no_other(style: str) -> None:
    rgb = noise()
    before = rgb.copy()
    out = Blur(style=style, key=1).apply(rgb, [(1, BOX)])
    assert (rgb == before).all()
    mask = inside(rgb.shape)
    assert (out[~mask] == rgb[~mask]).all()
    colours = np.unique(out[mask], axis=0)
    # a mosaic of at most 9 × 9 cells, or one grey
    assert len(colours) <= (81 if style == "mosaic" else 1)


def test_nothing_is_left_but_the_means_of_cells() -> None:
    """Any other picture with the same means gives the same output: what differs between them cannot be recovered."""
    rgb = noise()
    blur = Blur(key=5)
    out = blur.apply(rgb, [(1, BOX)])
    cells = out.reshape(-1, 3)
    for colour in np.unique(out[inside(rgb.shape)], axis=0):
        where = np.flatnonzero((cells == colour).all(axis=1) & inside(rgb.shape).ravel())
        pixels = rgb.reshape(-1, 3)
        pixels[where] = RNG.permutation(pixels[where])  # the cell's pixels in another order
    assert (blur.apply(rgb, [(1, BOX)]) == out).all()
    # and even the means only to some levels: half a level up or down makes no difference for most cells
    lighter = np.clip(rgb.astype(int) + 3, 0, 255).astype(np.uint8)
    same = (blur.apply(lighter, [(1, BOX)]) == out).all(axis=2)[inside(rgb.shape)].mean()
    assert same > 0.3


def test_the_best_reconstruction_is_no_better_than_the_mosaic() -> None:
    """A linear reconstruction that is fitted on the very picture explains nothing within a cell."""
    rgb = astronaut()
    faces = Faces.detected(np.array([[180, 60, 260, 160]]), np.array([0.9]), None, rgb.shape[1::-1])
    out = Blur(key=3).apply(rgb, [(1, tuple(faces.boxes[0].tolist()))])
    area = (slice(60, 160), slice(180, 260))
    original, shown = rgb[area].astype(float), out[area].astype(float)
    _, cell = np.unique(shown.reshape(-1, 3), axis=0, return_inverse=True)
    flat = original.reshape(-1, 3)
    means = np.stack([np.bincount(cell, flat[:, c]) / np.bincount(cell) for c in range(3)], axis=1)[cell]
    best = ((flat - means) ** 2).mean()
    design = np.c_[shown.reshape(-1, 3), np.ones(len(flat))]
    weights, *_ = np.linalg.lstsq(design, flat, rcond=None)
    assert ((flat - design @ weights) ** 2).mean() >= best - 1e-6
    assert best > 100  # the cells are coarse: what lies within them is gone


def test_averaging_frames_of_a_face_that_moves_adds_no_detail() -> None:
    """The mosaic lies on the face, and its noise stays: every frame shows the same cells."""
    face = noise(60, 48)
    blur = Blur(key=11)
    shown = []
    for shift in range(8):
        rgb = np.full((140, 200, 3), 90, np.uint8)
        rgb[40:100, 60 + shift : 108 + shift] = face
        out = blur.apply(rgb, [(1, (60.0 + shift, 40.0, 108.0 + shift, 100.0))])
        shown.append(out[40:100, 60 + shift : 108 + shift].astype(int))
    assert all((one == shown[0]).all() for one in shown)
    assert not (Blur(key=12).apply(rgb, [(1, (67.0, 40.0, 115.0, 100.0))]) == out).all()
    assert not (blur.apply(rgb, [(2, (67.0, 40.0, 115.0, 100.0))]) == out).all()


@pytest.mark.parametrize(
    "box",
    [(-50.0, -40.0, 10.0, 12.0), (150.0, 100.0, 400.0, 300.0), (500.0, 500.0, 600.0, 600.0), (5.0, 5.0, 5.5, 5.2),
     (np.nan, 0.0, 1.0, 1.0), (-1000.0, -1000.0, 2000.0, 2000.0)],
)  # fmt: skip
def test_boxes_anywhere(box: tuple[float, float, float, float]) -> None:
    for style in STYLES:
        assert Blur(style=style).apply(noise(), [(1, box)]).shape == (120, 160, 3)


def test_who_is_blurred() -> None:
    assert Blur("all").hides(1)
    others = Blur("others", frozenset({2, 4}))
    assert [n for n in range(1, 6) if not others.hides(n)] == [2, 4]
    for wrong in ({"whose": "some"}, {"style": "gauss"}, {"whose": "others", "keep": frozenset()}):
        with pytest.raises(InputError):
            Blur(**wrong)
    assert (analyze.WHOSE, analyze.STYLES) == (WHOSE, STYLES)


def test_boxes_are_interpolated_where_the_detector_misses_the_face() -> None:
    # track 1 is missing in frames 10–12 (no one is there) and in every seventh; track 2 in frames 10–12
    frames = [f for f in made_frames(60) if f.index >= 5]
    report = report_of(rows_of(frames))
    # the scene changes at frame 13: made_frames sets the cut there
    found = boxes_to_hide(report, Blur())
    assert set(found) == set(range(5, 60))
    assert all({track for track, _ in boxes} == {1, 2} for boxes in found.values())
    rows = report.rows.records
    for frame in (17, 24, 31):
        assert not ((rows["track"] == 1) & (rows["frame"] == frame)).any()
        (box,) = [box for track, box in found[frame] if track == 1]
        for near in (frame - 1, frame + 1):
            seen = rows["box"][(rows["track"] == 1) & (rows["frame"] == near)][0]
            # the face was there and will be there: all of both is covered
            assert box[0] <= seen[0] + 1e-3
            assert box[3] >= seen[3] - 1e-3
    assert set(boxes_to_hide(report, Blur("others", frozenset({1})))[20]) == {b for b in found[20] if b[0] == 2}


def test_boxes_are_kept_before_and_after_a_track_but_not_over_a_cut() -> None:
    frames = []
    for frame in made_frames(80, gap=(100, 100)):
        there = 30 <= frame.index < 50
        faces = frame.faces[np.flatnonzero(frame.faces.tracks == 2)] if there else frame.faces[:0]
        frames.append(replace(frame, faces=faces, smoothed={}, cut=frame.index == 52))
    found = boxes_to_hide(report_of(rows_of(frames)), Blur())
    assert min(found) == 30 - round(EXTENSION * 25)
    assert max(found) == 51


def test_frames_are_drawn_from_rows_as_from_the_analysis() -> None:
    frames = list(made_frames(20, size=(320, 240)))
    table = rows_of(frames)
    places = rows_by_frame(table.records)
    for frame in frames:
        again = video_frame(frame.frame, table.rows(*places[frame.index]))
        assert (again.detected, again.cut, again.labels) == (frame.detected, frame.cut, frame.labels)
        assert (draw_video_frame(again) == draw_video_frame(frame)).all()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = Pan.astronaut((192, 144), eye_distance=24.0, step=(0.5, 0.1))
    return clip(tmp_path_factory.mktemp("walk") / "walk.mp4", frames=40, draw=draw, audio=1.6)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_no_face_is_found_in_a_blurred_video(walk: Path, tmp_path: Path) -> None:
    analyzer = Analyzer(threads=1, models=())
    for blur, kept in (
        (Blur(), False),
        (Blur("others", frozenset({1})), True),
        (Blur("others", frozenset({9})), False),
    ):
        out = tmp_path / f"{kept}.mp4"
        job = VideoJob(analyzer, [walk], VideoOutputs(annotated=lambda clip, out=out: out, blur=blur))
        with job:
            (report,) = job.reports()
        assert len(report) == 1
        frames = decoded(out)
        assert len(frames) == 40
        found = [len(analyzer.analyze(frame, color="rgb")) for frame in frames[::8]]
        assert all(found) if kept else not any(found), found
        with av.open(str(out)) as container:
            assert container.streams.audio


def test_thumbnails_and_reports_hide_the_same_faces(walk: Path, tmp_path: Path) -> None:
    analyzer = Analyzer(threads=1, models=())
    report = analyzer.video(walk)
    plain, hidden = crop_thumbnails(report, walk), crop_thumbnails(report, walk, blur=Blur(key=2))
    assert plain[1].shape == hidden[1].shape
    # the face is in the middle; at the edges the background stays
    rows, columns = (slice(side // 3, -side // 3) for side in plain[1].shape[:2])
    hidden_colours, plain_colours = (
        len(np.unique(one[rows, columns].reshape(-1, 3), axis=0)) for one in (hidden[1], plain[1])
    )
    assert hidden_colours <= 36
    assert plain_colours > 100


def test_a_resumed_run_blurs_the_same_faces(walk: Path, tmp_path: Path) -> None:
    def outputs(blur: Blur | None) -> VideoOutputs:
        return VideoOutputs(report=tmp_path / "report", annotated=lambda clip: tmp_path / "out.mp4", blur=blur)

    analyzer = Analyzer(threads=1, models=())

    def stop(stream: object, batch: object) -> None:
        raise KeyboardInterrupt

    job = VideoJob(analyzer, [walk], outputs(Blur()), flush_seconds=0)
    with pytest.raises(KeyboardInterrupt), job:
        list(job.reports(stop))
    assert not (tmp_path / "out.mp4").exists()
    # without --blur the faces of the first frames would be in the file of the second call
    with pytest.raises(InputError, match="the blurred faces"):
        VideoJob(analyzer, [walk], outputs(None), resume=True)
    job = VideoJob(analyzer, [walk], outputs(Blur()), resume=True)
    with job:
        assert len(list(job.reports())) == 1
    assert len(decoded(tmp_path / "out.mp4")) == 40
    assert not any(len(analyzer.analyze(frame, color="rgb")) for frame in decoded(tmp_path / "out.mp4")[::10])


def test_a_second_writer_of_the_same_report(walk: Path, tmp_path: Path) -> None:
    report = Analyzer(threads=1, models=()).video(walk)
    out = write_blurred_video(report, walk, tmp_path / "again.mp4", Blur())
    assert out == tmp_path / "again.mp4"
    with pytest.raises(InputError, match="is an input"):
        write_blurred_video(report, walk, walk, Blur())


def test_photos(tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "photo.png")
    analyzer = Analyzer(threads=1, models=())
    faces = analyzer.analyze(tmp_path / "photo.png")
    assert len(faces) == 1
    blurred = faces.draw(blur=Blur())
    assert not len(analyzer.analyze(blurred, color="rgb"))
    assert (faces.draw(blur=Blur("others", frozenset({1}))) == faces.draw()).all()
    faces.save(tmp_path / "out.jpg", blur=Blur(style="solid"))
    assert not len(analyzer.analyze(tmp_path / "out.jpg"))
