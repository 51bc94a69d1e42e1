"""Videos into files: what is written, what a kill leaves, and that resuming gives what an uninterrupted run gives."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helpers.clips import Pan, clip, shortened, sound
from mien.errors import InputError, MienError, MissingFileError, VideoError
from mien.media.selection import FrameSelection
from mien.output_checks import OUTPUT_IS_INPUT
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.jobs import VideoJob, VideoOutputs
from mien.pipeline.video import VideoStream
from mien.results.video import VideoFrame, VideoReport
from mien.tracking.options import TrackingOptions

SIZE = (192, 144)
CHILD = """
import sys, time
from pathlib import Path
from mien.pipeline.analyzer import Analyzer
from mien.tracking.options import TrackingOptions
from mien.pipeline.jobs import VideoJob, VideoOutputs
folder, resume, detect_every, stop_after, *clips = sys.argv[1:]
folder = Path(folder)
outputs = VideoOutputs(
    csv=folder / "rows.csv", jsonl=folder / "rows.jsonl", parquet=folder / "rows.parquet", report=folder / "report",
    annotated=lambda clip: folder / (clip.stem + ".mp4"),
)
run = VideoJob(
    Analyzer(threads=1), [Path(c) for c in clips], outputs, tracking=TrackingOptions(detect_every=int(detect_every)),
    resume=resume == "resume", flush_seconds=0.1,
)
told = 0

def tell(stream, batch):
    global told
    print(batch[-1].index, flush=True)
    told += 1
    if told == int(stop_after):
        time.sleep(600)

with run:
    print("running", flush=True)
    for report in run.reports(tell):
        print(report.source, flush=True)
"""


def run_child(
    folder: Path, clips: list[Path], *, resume: bool = False, detect_every: int = 1, stop_after: int = 0
) -> subprocess.Popen[str]:
    """A run that says what it has done; it goes no further than so many batches, where that is not 0."""
    folder.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-c",
        CHILD,
        str(folder),
        "resume" if resume else "new",
        str(detect_every),
        str(stop_after),
        *map(str, clips),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(threads=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    one = clip(
        folder / "one.mp4",
        frames=120,
        draw=Pan.astronaut(SIZE, eye_distance=30.0, step=(0.3, 0.1)),
        audio=4.8,
        bframes=2,
    )
    two = clip(folder / "two.mp4", frames=90, draw=Pan.hopper(SIZE, eye_distance=30.0, step=(0.2, 0.1)))
    return [one, two]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [round(frame.time, 3) for frame in container.decode(video=0)]


def one(run: VideoJob) -> VideoReport:
    with run:
        (result,) = run.reports()
    assert isinstance(result, VideoReport)
    return result


def test_everything_is_written(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    outputs = VideoOutputs(
        csv=tmp_path / "rows.csv", jsonl=tmp_path / "rows.jsonl", parquet=tmp_path / "rows.parquet",
        report=tmp_path / "report", annotated=lambda clip: tmp_path / f"{clip.stem}-annotated.mp4",
    )  # fmt: skip
    with VideoJob(analyzer, clips, outputs) as run:
        reports = list(run.reports())
    assert [r.coverage.frames for r in reports if isinstance(r, VideoReport)] == [120, 90]
    rows = rows_of(tmp_path / "rows.csv")
    assert len(rows) == 210
    assert [r["source"] for r in rows] == [str(clips[0])] * 120 + [str(clips[1])] * 90
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [*range(120), *range(90)]
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "rows.parquet").column("frame").to_pylist() == [*range(120), *range(90)]
    for name, n in (("one", 120), ("two", 90)):
        assert len(times_of(tmp_path / f"{name}-annotated.mp4")) == n
        folder = tmp_path / "report" / name
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["coverage"]["frames"] == n
        assert summary["tracks"][0]["track"] == 1
        assert (folder / "report.html").stat().st_size > 5000
        assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "timeline-1.png").read_bytes().startswith(b"\x89PNG")
    with av.open(str(tmp_path / "one-annotated.mp4")) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]
    tracks = rows_of(tmp_path / "report" / "tracks.csv")
    assert [(t["source"], t["track"]) for t in tracks] == [(str(clips[0]), "1"), (str(clips[1]), "1")]
    assert tracks[0]["emotion"] == "happy"
    page = (tmp_path / "report" / "index.html").read_text()
    assert "one/report.html" in page
    assert "two/report.html" in page


@pytest.mark.parametrize(("kill_at", "detect_every"), [(30, 1), (100, 4), (150, 1)])
def test_a_killed_run_resumed_is_the_uninterrupted_one(
    clips: list[Path], tmp_path: Path, kill_at: int, detect_every: int
) -> None:
    whole = run_child(tmp_path / "whole", clips, detect_every=detect_every)
    # somewhere in the three batches that follow, or after them if this process is late
    child = run_child(tmp_path / "killed", clips, detect_every=detect_every, stop_after=kill_at // 8 + 4)
    seen = 0
    for line in child.stdout or []:
        seen += 8 if line.strip().isdigit() else 0
        if seen >= kill_at:
            break
    child.send_signal(signal.SIGKILL)
    child.communicate()
    # what a kill leaves can be read
    left = rows_of(tmp_path / "killed" / "rows.csv")
    assert 0 < len(left) < 210
    resumed = run_child(tmp_path / "killed", clips, resume=True, detect_every=detect_every)
    message, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    assert message.count("\n") < 28, "the whole was analysed again"
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    for name in ("rows.csv", "rows.jsonl", "report/tracks.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    import pyarrow.parquet as pq

    tables = [pq.read_table(tmp_path / run / "rows.parquet") for run in ("killed", "whole")]
    assert tables[0].equals(tables[1])
    for name in ("one.mp4", "two.mp4"):
        assert times_of(tmp_path / "killed" / name) == times_of(tmp_path / "whole" / name)
    for name in ("one", "two"):
        summaries = [
            json.loads((tmp_path / run / "report" / name / "summary.json").read_text()) for run in ("killed", "whole")
        ]
        assert summaries[0] == summaries[1]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_readable_files(clips: list[Path], tmp_path: Path) -> None:
    child = run_child(tmp_path / "run", clips, stop_after=12)
    seen = 0
    for line in child.stdout or []:
        seen += 8 if line.strip().isdigit() else 0
        if seen >= 64:
            break
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert len(rows_of(tmp_path / "run" / "rows.csv")) >= 48
    resumed = run_child(tmp_path / "run", clips, resume=True)
    _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    assert len(rows_of(tmp_path / "run" / "rows.csv")) == 210


def test_resuming_a_finished_run_does_nothing(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    outputs = VideoOutputs(csv=tmp_path / "rows.csv", report=tmp_path / "report")
    one(VideoJob(analyzer, clips[1:], outputs))
    before = (tmp_path / "rows.csv").read_bytes()
    run = VideoJob(analyzer, clips[1:], outputs, resume=True)
    assert run.skipped == 1
    with run:
        assert list(run.reports()) == []
    assert (tmp_path / "rows.csv").read_bytes() == before


def test_resuming_another_call_is_refused(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    outputs = VideoOutputs(report=tmp_path / "report")
    one(VideoJob(analyzer, clips[1:], outputs))
    with pytest.raises(InputError, match="other videos, models or options"):
        VideoJob(analyzer, clips[1:], outputs, selection=FrameSelection(every=2), resume=True)
    with pytest.raises(InputError, match="other videos, models or options"):
        VideoJob(analyzer, clips[1:], outputs, tracking=TrackingOptions(detect_every=2), resume=True)
    (tmp_path / "report" / "progress.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        VideoJob(analyzer, clips[1:], outputs, resume=True)


def test_what_differs_is_named(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    outputs = VideoOutputs(report=tmp_path / "report")
    one(VideoJob(analyzer, clips[1:], outputs))
    with pytest.raises(InputError, match=r"\(detect_every: 1, now 2\)") as caught:
        VideoJob(analyzer, clips[1:], outputs, tracking=TrackingOptions(detect_every=2), resume=True)
    assert caught.value.code == "run-differs"
    assert caught.value.details == {"differences": ["detect_every: 1, now 2"]}
    with pytest.raises(InputError, match=r"\(the videos, their sizes or times: .*, now .*\)"):
        VideoJob(analyzer, clips, outputs, resume=True)
    with pytest.raises(InputError, match=r"\(min_face: none, now 64\)"):
        VideoJob(Analyzer(threads=1, min_face=64), clips[1:], outputs, resume=True)


def test_a_report_needs_no_matplotlib(
    analyzer: Analyzer, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    outputs = VideoOutputs(csv=tmp_path / "rows.csv", report=tmp_path / "report")
    for attempt in range(3):
        with VideoJob(analyzer, clips, outputs, resume=attempt > 0) as job:
            assert all(isinstance(result, VideoReport) for result in job.reports())
        assert len(rows_of(tmp_path / "rows.csv")) == 120 + 90
    assert sorted(path.name for path in (tmp_path / "report" / "one").iterdir()) == [
        ".mien-output",
        "report.html",
        "rows.bin",
        "summary.json",
    ]
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_report_that_failed_is_written_by_the_run_that_resumes(
    analyzer: Analyzer, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = VideoOutputs(
        csv=tmp_path / "rows.csv",
        parquet=tmp_path / "rows.parquet",
        report=tmp_path / "report",
        annotated=lambda clip: tmp_path / f"{clip.stem}.mp4",
    )

    def refuse(*_: object, **__: object) -> None:
        raise InputError("no page")

    for attempt in range(3):
        with monkeypatch.context() as patch, VideoJob(analyzer, clips, outputs, resume=attempt > 0) as job:
            patch.setattr("mien.draw.video_page.write_html", refuse)
            assert [str(result) for result in job.reports()] == ["no page", "no page"]
        assert len(rows_of(tmp_path / "rows.csv")) == 120 + 90
    with VideoJob(analyzer, clips, outputs, resume=True) as job:
        frames: list[int] = []
        reports = list(job.reports(lambda stream, batch: frames.extend(frame.index for frame in batch)))
    assert all(isinstance(report, VideoReport) for report in reports)
    assert frames == []  # none is analysed again
    assert len(rows_of(tmp_path / "rows.csv")) == len(pq.read_table(tmp_path / "rows.parquet")) == 120 + 90
    assert [len(times_of(tmp_path / name)) for name in ("one.mp4", "two.mp4")] == [120, 90]
    assert all((tmp_path / "report" / name / "report.html").is_file() for name in ("one", "two"))


def test_a_video_that_breaks_off_keeps_its_rows_once(
    analyzer: Analyzer, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = VideoOutputs(csv=tmp_path / "rows.csv", parquet=tmp_path / "rows.parquet", report=tmp_path / "report")
    batches, kept = VideoStream.batches, []

    def broken(stream: VideoStream) -> Iterator[Sequence[VideoFrame]]:
        for batch in batches(stream):
            yield batch
            if "one" in stream.info.name:
                kept.append(len(batch))
                raise VideoError("cannot be read any more", path=stream.info.name)

    monkeypatch.setattr(VideoStream, "batches", broken)
    for attempt in range(3):
        with VideoJob(analyzer, clips, outputs, resume=attempt > 0) as job:
            results = list(job.reports())
        assert isinstance(results[0], VideoError)
        assert "cannot be read any more" in str(results[0])
        assert ("in an earlier run" in str(results[0])) == (attempt > 0)
        assert len(rows_of(tmp_path / "rows.csv")) == len(pq.read_table(tmp_path / "rows.parquet")) == kept[0] + 90


def test_a_second_run_into_one_output_is_refused_and_leaves_nothing(
    analyzer: Analyzer, clips: list[Path], tmp_path: Path
) -> None:
    first = VideoOutputs(
        csv=tmp_path / "rows.csv", parquet=tmp_path / "rows.parquet", report=tmp_path / "report",
        annotated=lambda clip: tmp_path / f"{clip.stem}.mp4",
    )  # fmt: skip
    with VideoJob(analyzer, clips[1:], first) as job:
        reports = job.reports(lambda stream, batch: started.append(len(batch)))
        started: list[int] = []
        for number, second in enumerate(
            (
                VideoOutputs(csv=first.csv),
                VideoOutputs(parquet=first.parquet),
                VideoOutputs(report=first.report),
                VideoOutputs(csv=tmp_path / "other.csv", parquet=first.parquet),
            )
        ):
            with pytest.raises(InputError, match="another run is writing to it") as caught:
                VideoJob(analyzer, clips[1:], second, resume=number == 2)
            assert caught.value.code == "output-locked"
        assert all(isinstance(report, VideoReport) for report in reports)
    assert started
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "rows.csv", "rows.parquet", "two.mp4"]


def test_nothing_is_written_among_numbered_pictures(analyzer: Analyzer, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        Image.new("RGB", SIZE).save(frames / f"{number}.png")
    for outputs in (
        VideoOutputs(csv=frames / "rows.csv"),
        VideoOutputs(report=frames / "report"),
        VideoOutputs(annotated=lambda _: frames / "a.mp4"),
    ):
        with pytest.raises(InputError, match="lies inside an input") as caught:
            VideoJob(analyzer, [frames], outputs, selection=FrameSelection(fps=25))
        assert caught.value.code == OUTPUT_IS_INPUT
    assert sorted(path.name for path in frames.iterdir()) == ["0.png", "1.png", "2.png"]


def test_a_report_replaces_only_reports(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    for name, make in (("index.html", lambda path: path.write_text("mine")), ("two", Path.mkdir)):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        make(folder / name)
        with pytest.raises(InputError, match=f"{name}: exists already, and need not be a result of mien"):
            VideoJob(analyzer, clips[1:], VideoOutputs(report=folder))
        assert [path.name for path in folder.iterdir()] == [name]


def test_resume_needs_a_report_folder(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--report DIR"):
        VideoJob(analyzer, clips, VideoOutputs(csv=tmp_path / "rows.csv"), resume=True)


def test_a_video_that_cannot_be_read_does_not_stop_the_others(
    analyzer: Analyzer, clips: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("dear diary\n" * 100)
    silent = sound(tmp_path / "sound.mp4")
    outputs = VideoOutputs(csv=tmp_path / "rows.csv", report=tmp_path / "report")
    with VideoJob(analyzer, [bad, silent, tmp_path / "absent.mp4", clips[1]], outputs) as run:
        results = list(run.reports())
    assert [isinstance(r, MienError) for r in results] == [True, True, True, False]
    assert isinstance(results[2], MissingFileError)
    assert len(rows_of(tmp_path / "rows.csv")) == 90


def test_a_cut_file_is_analysed_as_far_as_it_goes(analyzer: Analyzer, clips: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    clip(cut, frames=60, draw=Pan.astronaut(SIZE, eye_distance=30.0))
    shortened(cut, 0.6)
    report = one(VideoJob(analyzer, [cut], VideoOutputs(csv=tmp_path / "rows.csv")))
    assert 10 < report.coverage.frames < 60
    assert report.coverage.problems
    assert len(rows_of(tmp_path / "rows.csv")) == report.coverage.frames


def test_frames_without_a_face_have_rows(analyzer: Analyzer, tmp_path: Path) -> None:
    plain = clip(tmp_path / "plain.mp4", frames=20, size=SIZE)
    outputs = VideoOutputs(
        csv=tmp_path / "rows.csv", report=tmp_path / "report", annotated=lambda _: tmp_path / "a.mp4"
    )
    report = one(VideoJob(analyzer, [plain], outputs))
    assert report.tracks == ()
    assert report.coverage.without_face == 20
    rows = rows_of(tmp_path / "rows.csv")
    assert [int(r["frame"]) for r in rows] == list(range(20))
    assert {r["track"] for r in rows} == {""}
    assert len(times_of(tmp_path / "a.mp4")) == 20


def test_equal_names_get_folders_of_their_own(analyzer: Analyzer, tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(clip(tmp_path / name / "clip.mp4", frames=4, size=SIZE))
    with VideoJob(analyzer, paths, VideoOutputs(report=tmp_path / "report")) as run:
        list(run.reports())
    assert (tmp_path / "report" / "clip" / "summary.json").is_file()
    assert (tmp_path / "report" / "clip-2" / "summary.json").is_file()
