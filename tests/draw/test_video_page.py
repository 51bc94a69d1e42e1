"""The report of a video: the page, the timelines and the table on the terminal, of ordinary and of strange videos."""

from __future__ import annotations

import io
import itertools
import re
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from helpers.clips import clip, number_of, numbered
from helpers.faces import emotion_head
from helpers.videos import made_frame, made_frames, made_rows, report_of, rows_of
from mien.cli.video_summary import coverage_line, print_report
from mien.draw.clock import clock, duration
from mien.draw.palette import COLOURS, luminance
from mien.draw.thumbnails import crop_thumbnails
from mien.draw.timeline import draw_timeline, draw_track, save_timeline
from mien.draw.track_series import LabelRun, TrackSeries, episode_runs, series_by_track, time_span, time_ticks
from mien.draw.video_page import write_html
from mien.errors import InputError, MissingExtraError, OutputError
from mien.labels import FERPLUS
from mien.results.track import Episode, Track, Vote
from mien.results.video import Coverage, VideoReport

REPORT = report_of(rows_of(list(made_frames(200, size=(64, 48)))), lost=2, problems=("2 frames are damaged",))
LONG = report_of(made_rows(54_000))
NOBODY = report_of(rows_of([made_frame(i, tracks=(), size=(64, 48)) for i in range(30)]))
NOTHING = report_of(rows_of([]), size=(0, 0))
BARE = report_of(rows_of(list(made_frames(40, size=(64, 48), emotions=False, ages=False))))
AGES = report_of(rows_of(list(made_frames(40, size=(64, 48), emotions=False))))
EMOTIONS = report_of(rows_of(list(made_frames(40, size=(64, 48), ages=False))))
CROWD = report_of(made_rows(60, faces=90))
EVERY = {
    "usual": REPORT,
    "nobody": NOBODY,
    "nothing": NOTHING,
    "bare": BARE,
    "ages": AGES,
    "emotions": EMOTIONS,
    "crowd": CROWD,
}


def voting(track: Track, vote: Vote) -> Track:
    """The track with another vote on the emotion."""
    emotion = replace(track.predictions["emotion"], vote=vote)
    return replace(track, predictions=dict(track.predictions) | {"emotion": emotion})


each_report = pytest.mark.parametrize("report", EVERY.values(), ids=EVERY)


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    """Reads a page as a browser would, and complains about tags that do not close."""

    VOID = frozenset({"meta", "img", "link", "br", "path", "rect"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["title"]):
            self.text += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def plain(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(write_html(REPORT, tmp_path / "new" / "r.html"))


def test_the_summary_comes_first(page: Page) -> None:
    assert page.plain.startswith("clip.mp4 Facial expressions over time Length analysed 8.0 s Picture 640 × 480")
    for reported in (
        "Faces tracked 2",
        "Frames analysed 200",
        "Frames without a face 3 (1.5 %)",
        "Frames not decoded 2",
    ):
        assert reported in page.plain
    assert "What went wrong 2 frames are damaged" in page.plain
    assert "not what the person feels" in page.plain
    assert "AI Act, Article 5(1)(f)" in page.plain
    order = [
        page.plain.index(word) for word in ("Length analysed", "All faces", "Face 1", "Emotion over the whole time")
    ]
    assert order == sorted(order)


def test_every_face_has_a_section(page: Page) -> None:
    assert [attrs["id"] for attrs in page.all("section")] == ["face-1", "face-2"]
    links = {attrs["href"] for attrs in page.all("a")}
    assert links == {"#face-1", "#face-2"}
    for track in REPORT.tracks:
        for label, mean in track.emotions.items():
            reported = f"{100 * mean:.0f} %" if mean >= 0.1 else f"{100 * mean:.1f} %"
            assert f"{label} {reported}" in page.plain
        assert f"{len(track.episodes)} episodes" in page.plain


def test_the_vote_is_shown_with_its_interval(tmp_path: Path) -> None:
    first, second = REPORT.tracks
    tracks = (
        voting(first, Vote("happy", 0.72, 0.61, 0.81, 1200, 40.4)),
        voting(second, Vote("sad", 0.55, 0.44, 0.66, 1)),
    )
    text = Page(write_html(replace(REPORT, tracks=tracks), tmp_path / "r.html")).plain
    assert "The frames vote happy : 72 %, interval 61–81 % (1,200 votes, worth about 40 independent ones)" in text
    assert "vote of the frames is undecided : sad leads with 55 %, but the interval 44–66 % reaches down to one" in text
    assert "undecided (sad 55 %)" in text
    assert "happy 72 % (61–81 %)" in text
    assert "Undecided : the interval reaches down to one half" in text


def test_the_page_is_accessible(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}
    assert len(page.all("caption")) == len(page.all("table"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    pictures = [attrs for _, attrs in page.tags if attrs.get("role") == "img"]
    assert len(pictures) == 2
    assert all("Timeline of face" in (attrs["aria-label"] or "") for attrs in pictures)
    assert all(attrs.get("aria-hidden") == "true" for attrs in page.all("svg"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_colours_of_the_page_have_contrast(page: Page, tmp_path: Path) -> None:
    style = (tmp_path / "new" / "r.html").read_text("utf-8").split("<style>")[1].split("</style>")[0]
    for scheme in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        colours = {
            name: luminance(tuple(int(value[i : i + 2], 16) for i in (0, 2, 4)))
            for name, value in re.findall(r"--([a-z-]+): #([0-9a-f]{6})", scheme)
        }
        pairs = [("ink", "ground"), ("quiet", "ground"), ("ink", "card"), ("quiet", "card"), ("link", "ground")]
        for text, ground in [*pairs, ("warn", "warn-ground")]:
            light, dark = sorted((colours[text], colours[ground]), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    assert "prefers-color-scheme: dark" in style


def test_the_page_loads_nothing(page: Page, tmp_path: Path) -> None:
    text = (tmp_path / "new" / "r.html").read_text("utf-8")
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", text)
    assert "default-src 'none'" in text
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


HOSTILE = "<script>alert(1)</script>\"'&$name ${x}.mp4"


TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "p", "main", "dl",
    "div", "dt", "dd", "strong", "ul", "li", "h2", "table", "caption", "thead", "tr",
    "th", "tbody", "td", "a", "svg", "rect", "path", "span", "details", "summary", "section",
    "i", "figure", "footer",
}  # fmt: skip


@given(st.sampled_from((HOSTILE, "$name", "caf\udce9.mp4", "\x00\n\r.mp4", "a/<b>/c&d.mp4", "")) | st.text(max_size=30))
@settings(max_examples=12, deadline=None)
def test_names_are_text_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    labels = tuple(f"{label}<{i}&\"'" for i, label in enumerate(FERPLUS.names))
    heads = dict(REPORT.rows.heads) | {"emotion": emotion_head(labels)}
    rows = replace(REPORT.rows, heads=heads, source=name)
    report = replace(report_of(rows, problems=(f"{name}: <img src=x onerror=alert(1)>",)), source=name)
    page = Page(write_html(report, folder / "r.html"))
    assert {tag for tag, _ in page.tags} == TAGS
    assert "neutral<0&\"'" in page.text


def test_the_hostile_name_is_shown(tmp_path: Path) -> None:
    page = Page(write_html(replace(REPORT, source=HOSTILE.replace("/", "")), tmp_path / "r.html"))
    assert "<script>alert(1)<script>\"'&$name ${x}.mp4" in page.text
    assert page.all("script") == []


@each_report
def test_pages_of_strange_videos(tmp_path: Path, report: VideoReport) -> None:
    page = Page(write_html(report, tmp_path / "r.html"))
    assert ("No face was found" in page.plain) == (not report.tracks)
    assert (
        ("Vote of" in page.plain)
        == ("Mean probability" in page.plain)
        == bool("emotion" in report.heads and report.tracks)
    )
    assert ("Looks" in page.plain) == any(track.ages for track in report.tracks)
    assert "nan" not in page.plain.lower()


def test_a_page_stays_small(tmp_path: Path) -> None:
    page = write_html(LONG, tmp_path / "r.html")
    assert page.stat().st_size < 300_000
    crowd = write_html(CROWD, tmp_path / "c.html")
    assert crowd.stat().st_size < 1_000_000
    reported = Page(crowd)
    assert len(reported.all("section")) == 60
    assert len(reported.all("a")) == 60
    assert "Face 90" in reported.plain


def test_many_faces_and_episodes_are_cut_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.draw import video_page as html

    monkeypatch.setattr(html, "_ROWS", 50)
    monkeypatch.setattr(html, "_SECTIONS", 20)
    assert "40 more faces were visible for a shorter time" in Page(write_html(CROWD, tmp_path / "c.html")).plain
    monkeypatch.setattr(html, "_EPISODES", 15)
    count = len(LONG.tracks[0].episodes)
    assert f"The 15 longest of {count} episodes of face 1" in Page(write_html(LONG, tmp_path / "l.html")).plain


def test_thumbnails_only_when_asked_for(tmp_path: Path, page: Page) -> None:
    assert page.all("img") == []
    picture = np.full((400, 300, 3), (200, 30, 30), np.uint8)
    (image,) = Page(write_html(REPORT, tmp_path / "r.html", thumbnails={2: picture})).all("img")
    assert image["alt"] == "Face 2 at 0:00.0"
    data = (image["src"] or "").removeprefix("data:image/jpeg;base64,")
    import base64

    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert shown.size == (144, 192)
    with pytest.raises(InputError, match="the thumbnail of face 1 is not an RGB uint8 picture"):
        write_html(REPORT, tmp_path / "r.html", thumbnails={1: np.zeros((3, 3))})


def test_pages_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_html(REPORT, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"r\.html: cannot be written"):
        write_html(REPORT, tmp_path / "file" / "r.html")
    assert REPORT.save(tmp_path / "r.html").is_file()


def test_pictures_of_faces(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=50, size=(64, 48))
    frames = [made_frame(i, tracks=(1,), size=(64, 48), pixels=numbered(i, (64, 48))) for i in range(50)]
    report = report_of(rows_of(frames))
    (track,) = report.tracks
    wanted = replace(track, best=(33, 33 / 25, (0.0, 0.0, 64.0, 48.0)))
    gone = replace(track, id=2, best=(33, 5.0, (0.0, 0.0, 64.0, 48.0)))
    outside = replace(track, id=3, best=(33, 33 / 25, (90.0, 90.0, 95.0, 95.0)))
    pictures = crop_thumbnails(replace(report, tracks=(wanted, gone, outside)), path)
    assert list(pictures) == [1]
    assert number_of(pictures[1]) == 33
    small = crop_thumbnails(replace(report, tracks=(replace(track, best=(3, 3 / 25, (20.0, 20.0, 30.0, 28.0))),)), path)
    assert small[1].shape == (15, 15, 3)
    assert crop_thumbnails(report, tmp_path / "gone.mp4") == {}
    assert crop_thumbnails(report, path, most=0) == {}


# ---------------------------------------------------------------- timelines


@pytest.mark.parametrize("suffix", [".PNG", ".svg", ".pdf"])
def test_timelines_as_files(tmp_path: Path, suffix: str) -> None:
    for track in (None, 2):
        path = save_timeline(EMOTIONS, tmp_path / f"t{track}{suffix}", track=track)
        if suffix == ".PNG":
            with Image.open(path) as image:
                assert image.width == 1440
                colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
            shown = {episode.label for t in EMOTIONS.tracks for episode in t.episodes if track in (None, t.id)}
            assert shown
            assert {COLOURS[label] for label in shown} <= colours
        elif suffix == ".svg":
            ET.parse(path)
    assert len(list(tmp_path.iterdir())) == 2


@each_report
def test_timelines_of_strange_videos(tmp_path: Path, report: VideoReport) -> None:
    draw_timeline(report)
    for track in report.tracks[:2]:
        draw_track(report, track.id)
    if "emotion" not in report.heads or not report.tracks:
        save_timeline(report, tmp_path / "all.svg")


def test_timelines_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no track 9; the tracks are 1, 2"):
        save_timeline(REPORT, tmp_path / "a.png", track=9)
    with pytest.raises(InputError, match=r"a\.gif: a timeline is a picture; use the suffix \.png or \.svg"):
        save_timeline(REPORT, tmp_path / "a.gif")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingExtraError, match=r"a timeline needs the package 'matplotlib'; pip install 'mien\[plots\]'"
    ):
        save_timeline(REPORT, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["$x_1$ 100%.mp4", "猫 🙂.mp4", "caf\udce9\n.mp4", "a" * 200 + ".mp4"])
def test_any_name_can_be_drawn(tmp_path: Path, name: str) -> None:
    save_timeline(replace(BARE, source=name), tmp_path / "a.png")


def test_long_videos_are_drawn_fast_and_small(tmp_path: Path) -> None:
    save_timeline(BARE, tmp_path / "first.png")  # matplotlib is imported and its fonts are found
    began = time.process_time()
    png = save_timeline(LONG, tmp_path / "a.png", track=1)
    assert time.process_time() - began < 6.0
    assert png.stat().st_size < 600_000
    assert save_timeline(LONG, tmp_path / "a.svg", track=1).stat().st_size < 800_000


def test_figures_say_what_they_show() -> None:
    figure = draw_track(REPORT, 1)
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "clip.mp4"
    assert texts[1].startswith("face 1, visible for ")
    panels = figure.axes
    assert [axes.get_yticklabels()[0].get_text() for axes in panels] == ["episodes", "0", "vote"]
    legend = [text.get_text() for text in panels[1].get_legend().get_texts()]
    assert legend[:8] == list(reversed(FERPLUS.names))
    assert panels[-1].get_xticklabels()[0].get_text() == "0:00"
    rows = draw_timeline(REPORT).axes[0]
    assert [label.get_text() for label in rows.get_yticklabels()] == ["face 1", "face 2"]
    assert len(draw_timeline(CROWD).axes[0].get_yticklabels()) == 40


# ---------------------------------------------------------------- what timelines are drawn from


def test_series_leave_gaps_where_a_face_was_not_seen() -> None:
    both = series_by_track(REPORT, "emotion")
    second = both[2].visible_spans()
    assert np.allclose(second, [(0.0, 0.4), (0.52, 8.0)])
    first = both[1].visible_spans()
    assert len(first) == 29  # face 1 is missing in every seventh frame
    assert all(b[0] - a[1] == pytest.approx(0.04) or a[1] == pytest.approx(0.4) for a, b in itertools.pairwise(first))
    assert np.allclose(both[1].visible_spans(gap=0.05), [(0.0, 0.4), (0.52, 7.96)])
    assert np.array_equal(both[2].smoothed[0], REPORT.rows.records["emotion/smoothed"][1])


def test_frames_that_come_late_leave_a_gap() -> None:
    rows = rows_of([made_frame(i, tracks=(1,)) for i in (0, 1, 2, 3, 30, 31, 32)])
    (series,) = series_by_track(report_of(rows)).values()
    assert np.allclose(series.visible_spans(), [(0.0, 0.16), (1.2, 1.32)])


@given(st.integers(1, 400), st.integers(1, 40), st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_thinning_keeps_every_peak(n: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 100, n))
    values = rng.dirichlet(np.ones(4), n).astype(np.float32)
    series = TrackSeries(times, times + 0.01, np.arange(n) == 0, values, np.zeros(n, np.int64), ("a", "b", "c", "d"))
    rows = series.thin((0, n), (0.0, 100.0), columns)
    assert rows[0] == 0
    assert rows[-1] == n - 1
    assert (np.diff(rows) > 0).all()
    assert len(rows) <= max(2 * columns, 10 * columns)
    assert np.array_equal(values[rows].max(axis=0), values.max(axis=0))
    assert np.array_equal(values[rows].min(axis=0), values.min(axis=0))


def test_votes_are_runs_and_undecided_ones_have_no_label() -> None:
    votes = np.array([1, 1, -1, -1, 1, 2])
    times = np.arange(6.0)
    series = TrackSeries(times, times + 1, np.arange(6) == 0, np.zeros((6, 3), np.float32), votes, ("a", "b", "c"))
    assert series.vote_runs((0, 6), 100) == [
        LabelRun(0, 2, "b"),
        LabelRun(2, 4, None),
        LabelRun(4, 5, "b"),
        LabelRun(5, 6, "c"),
    ]
    assert (
        series.vote_runs((0, 6), 2) == [LabelRun(0, 3, "b"), LabelRun(3, 6, None)]
        or len(series.vote_runs((0, 6), 2)) <= 2
    )


def test_many_episodes_become_columns() -> None:
    every = [
        Episode(1, "emotion", "happy" if i % 3 else "sad", i / 10, (i + 1) / 10, 1, i / 10, 1) for i in range(1000)
    ]
    few = episode_runs(every[:5], (0, 100), 10)
    assert few == [LabelRun(e.start, e.end, e.label) for e in every[:5]]
    merged = episode_runs(every[:500], (0, 100), 100)
    assert merged == [LabelRun(0.0, pytest.approx(50.0), "happy")]


def test_the_span_covers_what_was_analysed() -> None:
    assert time_span(REPORT) == pytest.approx((0.0, 8.0))
    assert time_span(NOTHING) == (0.0, 1.0)
    later = report_of(rows_of([made_frame(i, tracks=(1,)) for i in range(100, 150)]))
    assert time_span(later) == pytest.approx((4.0, 6.0))


@given(st.floats(0, 1e5), st.floats(0.05, 1e5), st.integers(2, 15))
def test_ticks_are_few_and_inside(start: float, length: float, most: int) -> None:
    marks = time_ticks(start, start + length, most)
    assert len(marks) <= most + 1
    assert all(start - 1e-6 <= mark <= start + length + 1e-6 for mark in marks)


@pytest.mark.parametrize(
    ("seconds", "whole", "tenths"),
    [
        (0, "0:00", "0:00.0"), (59.96, "1:00", "1:00.0"), (75.64, "1:16", "1:15.6"), (3599.7, "1:00:00", "59:59.7"),
        (3661, "1:01:01", "1:01:01.0"), (-5, "-0:05", "-0:05.0"), (-0.01, "0:00", "0:00.0"), (float("nan"), "?", "?"),
    ],
)  # fmt: skip
def test_clock(seconds: float, whole: str, tenths: str) -> None:
    assert clock(seconds) == whole
    assert clock(seconds, tenths=True) == tenths


@pytest.mark.parametrize(
    ("seconds", "reported"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00 min"), (3599.6, "1:00:00 h"), (75, "1:15 min")],
)
def test_durations(seconds: float, reported: str) -> None:
    assert duration(seconds) == reported


# ---------------------------------------------------------------- the terminal


def printed(report: VideoReport, *, width: int = 160, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_report(report, Console(file=stream, width=width))
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_one_line_a_face() -> None:
    first, second = REPORT.tracks
    tracks = (
        voting(first, Vote("happy", 0.72, 0.61, 0.81, 100)),
        voting(second, Vote("sad", 0.55, 0.44, 0.66, 100)),
    )
    lines = printed(replace(REPORT, tracks=tracks)).splitlines()
    assert lines[0].startswith("clip.mp4 640×480, 2 faces")
    one, two = (next(line for line in lines if line.lstrip().startswith(str(i))) for i in (1, 2))
    assert "0:00.0–8.0" not in one
    assert "0:00.0–0:08.0" in one
    assert re.search(r"happy +72% \(61–81\)", one)
    assert "undecided (sad 55%)" in two
    assert first.emotion in one
    assert "20–29" in one
    assert "█" in one
    assert "disgust" in one or "fear" in one
    assert lines[-1] == "200 frames in 8.0 s, 3 without a face, 2 could not be decoded"


@pytest.mark.parametrize("width", [36, 57, 58, 83, 84, 105, 106, 131, 132, 200])
@each_report
def test_terminals_of_any_width(report: VideoReport, width: int) -> None:
    text = printed(replace(report, source="folder/" * 3 + "video.mp4"), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    if report.tracks and "emotion" in report.heads:
        assert report.tracks[0].emotion in text
    assert ("age" in text) == (any(t.ages for t in report.tracks) and width >= 84)


def test_old_terminals_and_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert "#" in printed(REPORT, encoding="ascii")
    long = "folder/" * 40 + "clip.mp4"
    print_report(replace(REPORT, source=long))
    assert long in capsys.readouterr().out


def test_names_are_not_markup() -> None:
    text = printed(replace(REPORT, source="[red]x[/red]\n\x1b[2J.mp4"))
    assert "[red]x[/red]\\n\\x1b[2J.mp4" in text


@pytest.mark.parametrize(
    ("coverage", "reported"),
    [
        (Coverage(0, 0), "0 frames in 0.0 s"),
        (Coverage(1, 1, seconds=0.04), "1 frame in 0.0 s, no face in any"),
        (Coverage(2000, 0, 0, 7, 75.0), "2,000 frames in 1:15 min, a face in each, 7 skipped to keep up"),
    ],
)
def test_coverage(coverage: Coverage, reported: str) -> None:
    assert coverage_line(coverage) == reported
