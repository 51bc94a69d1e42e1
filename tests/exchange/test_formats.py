"""Reports in the files of other tools: read back by the tools' own readers where they are installed, and by ours."""

from __future__ import annotations

import csv
import gzip
import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.videos import made_frames, report_of, rows_of
from mien.errors import DataError, InputError, MissingFileError, OutputError
from mien.exchange.bids import rows_on_grid
from mien.exchange.coding import Coding, Interval, Tier, ceil_time, report_coding
from mien.exchange.formats import CODING_FILES, FORMATS, export_report, observations, read_coding, write_coding
from mien.exchange.openface import ROTATION, openface_rotation
from mien.results.video import VideoReport
from mien.results.view import POSE_MODEL, head_pose

FPS = 29.97
"""Frames whose times are no whole milliseconds."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> VideoReport:
    video = tmp_path_factory.mktemp("video") / "my clip & co.mp4"
    video.write_bytes(b"not a video: nothing decodes it here")
    frames = list(made_frames(240, fps=FPS, source=str(video), size=(320, 240)))
    return report_of(rows_of(frames, str(video)))


def frames_of(seconds: float) -> int:
    """Number of the frame that is shown at a time."""
    return math.floor(seconds * FPS + 1e-6)


def expected(report: VideoReport) -> dict[str, list[tuple[int, int, str]]]:
    """Tier → first frame, frame behind the last, label."""
    return {
        tier.name: [(round(i.start * FPS), round(i.end * FPS), i.label) for i in tier.intervals]
        for tier in report_coding(report).tiers
    }


def in_frames(coding: Coding) -> dict[str, list[tuple[int, int, str]]]:
    return {
        tier.name: [(frames_of(i.start), frames_of(i.end), i.label) for i in tier.intervals] for tier in coding.tiers
    }


def test_a_report_has_tiers_of_every_track_and_head(report: VideoReport) -> None:
    coding = report_coding(report)
    assert [tier.name for tier in coding.tiers] == ["face 1 emotion", "face 1 age", "face 2 emotion", "face 2 age"]
    assert coding.ordered == {"age"}
    assert coding.rate == pytest.approx(FPS)
    assert coding.end == pytest.approx(240 / FPS)
    episodes = report.track(1).predictions["emotion"].episodes
    assert [i.label for i in coding.tiers[0].intervals] == [e.label for e in episodes]
    assert len(coding.tiers[0].intervals) > 3
    # the age of a face is pooled over its track and never changes here, but the face is not there all the time
    ages = coding.tiers[1].intervals
    assert len({i.label for i in ages}) == 1
    rows = report.rows.records[report.rows.records["track"] == 1]
    assert len(ages) == 1 + int((np.diff(rows["frame"]) > 3).sum())


@pytest.mark.parametrize("suffix", [".boris", ".eaf", ".TextGrid", ".csv"])
def test_codings_come_back_exact_to_the_frame(report: VideoReport, tmp_path: Path, suffix: str) -> None:
    coding = read_coding(write_coding(report_coding(report), tmp_path / f"coding{suffix}"))
    found = {name: rows for name, rows in in_frames(coding).items() if rows}
    if suffix == ".boris":
        # a project has no order of tiers
        assert {name: sorted(rows) for name, rows in found.items()} == {
            n: sorted(r) for n, r in expected(report).items()
        }
    else:
        assert found == expected(report)
    if suffix in (".boris", ".eaf"):
        assert coding.source is not None
        assert "my%20clip" in coding.source or "my clip" in coding.source
        assert coding.labels["emotion"] == report.heads["emotion"].labels


@given(st.integers(0, 10**6), st.sampled_from([23.976, 24.0, 25.0, 29.97, 30000 / 1001, 50.0, 59.94, 120.0]))
def test_a_time_in_milliseconds_lies_in_its_frame(frame: int, fps: float) -> None:
    shown = ceil_time(frame / fps, 3)
    assert frame / fps - 1e-6 <= shown < (frame + 1) / fps
    assert round(shown * 1000) == pytest.approx(shown * 1000, abs=1e-6)


def test_pympi_reads_the_elan_file(report: VideoReport, tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    path = write_coding(report_coding(report), tmp_path / "coding.eaf")
    file = elan.Eaf(str(path))
    want = expected(report)
    assert list(file.get_tier_names()) == list(want)
    for name, rows in want.items():
        found = sorted(file.get_annotation_data_for_tier(name))
        assert [(frames_of(a / 1000), frames_of(b / 1000), label) for a, b, label in found] == rows
    assert file.tiers["face 1 emotion"][2]["PARTICIPANT"] == "face 1"
    (media,) = file.get_linked_files()
    assert media["MEDIA_URL"] == Path(report.source or "").as_uri()
    assert media["MIME_TYPE"] == "video/mp4"
    _, entries, _ = file.controlled_vocabularies["emotion"]
    assert entries is not None
    assert len(file.get_controlled_vocabulary_names()) == 2


def test_annotations_of_an_elan_file_share_no_time(report: VideoReport, tmp_path: Path) -> None:
    root = ElementTree.parse(write_coding(report_coding(report), tmp_path / "coding.eaf")).getroot()
    times = [int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    places = {slot.attrib["TIME_SLOT_ID"]: at for at, slot in enumerate(root.iter("TIME_SLOT"))}
    used = []
    for one in root.iter("ALIGNABLE_ANNOTATION"):
        start, end = (places[one.attrib[f"TIME_SLOT_REF{i}"]] for i in (1, 2))
        assert start < end
        used += [start, end]
    # a person who moves the end of one annotation moves no other
    assert sorted(used) == list(range(len(times)))


def test_praatio_reads_the_textgrid(report: VideoReport, tmp_path: Path) -> None:
    praat = pytest.importorskip("praatio.textgrid")
    path = write_coding(report_coding(report), tmp_path / "coding.TextGrid")
    grid = praat.openTextgrid(str(path), includeEmptyIntervals=False)
    want = expected(report)
    assert list(grid.tierNames) == list(want)
    for name, rows in want.items():
        entries = grid.getTier(name).entries
        assert [(round(e.start * FPS), round(e.end * FPS), e.label) for e in entries] == rows
        # not rounded at all
        assert all(abs(e.start * FPS - round(e.start * FPS)) < 1e-9 for e in entries)


PRAAT = """\
form x
  text file
endform
grid = Read from file: file$
n = Get number of tiers
writeInfo: ""
for t to n
  name$ = Get tier name: t
  k = Get number of intervals: t
  for i to k
    start = Get start time of interval: t, i
    end = Get end time of interval: t, i
    label$ = Get label of interval: t, i
    appendInfoLine: name$, tab$, start, tab$, end, tab$, label$
  endfor
endfor
"""


def test_praat_itself_reads_the_textgrid(report: VideoReport, tmp_path: Path) -> None:
    praat = shutil.which("praat")
    if praat is None:
        pytest.skip("Praat is not installed")
    path = write_coding(report_coding(report), tmp_path / "coding.TextGrid")
    (tmp_path / "read.praat").write_text(PRAAT)
    command = [praat, "--run", str(tmp_path / "read.praat"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, list[tuple[int, int, str]]] = {}
    for line in done.stdout.splitlines():
        name, start, end, label = line.split("\t")
        if label:
            found.setdefault(name, []).append((round(float(start) * FPS), round(float(end) * FPS), label))
    assert found == expected(report)


def test_textgrid_reads_the_textgrid(report: VideoReport, tmp_path: Path) -> None:
    textgrid = pytest.importorskip("textgrid")
    path = write_coding(report_coding(report), tmp_path / "coding.TextGrid")
    grid = textgrid.TextGrid.fromFile(str(path))
    for tier in grid.tiers:
        found = [(round(i.minTime * FPS), round(i.maxTime * FPS), i.mark) for i in tier if i.mark]
        assert found == expected(report)[tier.name]


def test_boris_projects_hold_what_the_tool_checks(report: VideoReport, tmp_path: Path) -> None:
    path = write_coding(report_coding(report), tmp_path / "coding.boris")
    project = json.loads(path.read_text(encoding="utf-8"))
    assert project["project_format_version"] == "7.0"
    (observation,) = project["observations"].values()
    codes = {one["code"]: one for one in project["behaviors_conf"].values()}
    assert {event[2] for event in observation["events"]} <= set(codes)
    assert {one["name"] for one in project["subjects_conf"].values()} == {"face 1", "face 2"}
    assert {one["category"] for one in codes.values()} == set(project["behavioral_categories"]) == {"emotion", "age"}
    assert observation["file"]["1"] == [report.source]
    assert set(observation["media_info"]["length"]) == {report.source}
    assert observation["media_info"]["fps"][report.source] == pytest.approx(FPS, abs=1e-5)
    # every state that begins also ends, and those of a head exclude each other
    for subject in ("face 1", "face 2"):
        for code in codes:
            assert sum(event[1] == subject and event[2] == code for event in observation["events"]) % 2 == 0
    running: set[tuple[str, str]] = set()
    for _, subject, code, *_ in observation["events"]:
        running ^= {(subject, code)}
        heads = [codes[one]["category"] for who, one in running if who == subject]
        assert len(heads) == len(set(heads))
    assert "happy" in codes["neutral"]["excluded"].split(",")
    assert "20-29" not in codes["neutral"]["excluded"]


def test_the_time_series_are_on_a_regular_grid_without_values_where_there_is_no_face(
    report: VideoReport, tmp_path: Path
) -> None:
    export_report(report, tmp_path, ["bids"], "clip")
    base = tmp_path / "bids" / "sub-clipface01" / "beh" / "sub-clipface01_task-clip_physio"
    about = json.loads(base.with_suffix(".json").read_text())
    lines = [
        line.split("\t") for line in gzip.decompress(base.with_suffix(".tsv.gz").read_bytes()).decode().split("\n")
    ]
    assert lines.pop() == [""]
    assert about["SamplingFrequency"] == pytest.approx(FPS)
    assert about["StartTime"] == 0
    assert len(lines) == 240
    assert {len(line) for line in lines} == {len(about["Columns"])}
    assert set(about["Columns"]) <= set(about)
    happy = about["Columns"].index("emotion_smoothed_happy")
    rows = {row["frame"]: row for row in report.rows.records if row["track"] == 1}
    label = report.heads["emotion"].labels.index("happy")
    for frame, line in enumerate(lines):
        if frame in rows:
            assert float(line[happy]) == pytest.approx(rows[frame]["emotion/smoothed"][label], abs=1e-5)
        else:
            assert set(line) == {"n/a"}
    assert sum(line[0] == "n/a" for line in lines) == 240 - len(rows) > 30


def test_the_grid_of_frames_at_uneven_times_shows_the_frame_of_each_time() -> None:
    frames = list(made_frames(40, gap=(90, 90)))
    times = np.array([frame.time + (0.015 if frame.index % 3 == 1 else 0.0) for frame in frames])
    frames = [replace(f, frame=replace(f.frame, time=float(t))) for f, t in zip(frames, times, strict=True)]
    uneven = report_of(rows_of(frames))
    found = rows_on_grid(uneven, 2)
    shown = uneven.rows.records["frame"][found]
    middles = (np.arange(len(found)) + 0.5) * 0.04
    assert shown.tolist() == (np.searchsorted(times, middles, side="right") - 1).tolist()


def test_events_of_a_face_are_its_episodes(report: VideoReport, tmp_path: Path) -> None:
    export_report(report, tmp_path, ["bids"], "clip")
    path = tmp_path / "bids" / "sub-clipface02" / "beh" / "sub-clipface02_task-clip_events.tsv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    episodes = report.track(2).predictions["emotion"].episodes
    assert [row["trial_type"] for row in rows] == [one.label for one in episodes]
    for row, one in zip(rows, episodes, strict=True):
        assert float(row["onset"]) == pytest.approx(one.start, abs=2e-6)
        assert float(row["duration"]) == pytest.approx(one.duration, abs=2e-6)
    onsets = [float(row["onset"]) for row in rows]
    assert onsets == sorted(onsets)


def test_videos_join_one_dataset_and_people_s_columns_stay(report: VideoReport, tmp_path: Path) -> None:
    def people() -> list[dict[str, str]]:
        with (tmp_path / "bids" / "participants.tsv").open(newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))

    export_report(report, tmp_path, ["bids"], "a-1")
    table = tmp_path / "bids" / "participants.tsv"
    first, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{first}\tage", *(f"{row}\t3{i}" for i, row in enumerate(rows))]) + "\n")
    (tmp_path / "bids" / "README").write_text("ours")
    export_report(report, tmp_path, ["bids"], "a1")  # the same letters and digits
    export_report(report, tmp_path, ["bids"], "a-1")
    found = {row["participant_id"]: (row["video"], row["track"], row["age"]) for row in people()}
    assert found == {
        "sub-a1face01": ("a-1", "1", "30"), "sub-a1face02": ("a-1", "2", "31"),
        "sub-a1v2face01": ("a1", "1", "n/a"), "sub-a1v2face02": ("a1", "2", "n/a"),
    }  # fmt: skip
    assert (tmp_path / "bids" / "README").read_text() == "ours"
    table.write_bytes(b"participant_id\n\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        export_report(report, tmp_path, ["bids"], "b")


def test_names_of_255_bytes_are_exported(report: VideoReport, tmp_path: Path) -> None:
    for name in ("v" * 191, "v" * 190 + "w"):  # what is left of 255 bytes, and another that is cut to the same
        export_report(report, tmp_path, ["bids"], name)
    assert len(list((tmp_path / "bids").glob("sub-*face01"))) == 2


def test_the_bids_validator_accepts_the_dataset(report: VideoReport, tmp_path: Path) -> None:
    validator = shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    export_report(report, tmp_path, ["bids"], "clip-1")
    run = subprocess.run(
        [validator, "--format", "json", str(tmp_path / "bids")], capture_output=True, text=True, check=False
    )
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [one for one in issues if one["severity"] == "error"] == []


def test_openface_names(report: VideoReport, tmp_path: Path) -> None:
    (path,) = export_report(report, tmp_path, ["openface"], "clip")
    assert path == tmp_path / "clip-openface.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert len(rows) == len(report.rows)
    nobody = [row for row in rows if row["success"] == "0"]
    assert [int(row["frame"]) for row in nobody] == [11, 12, 13]
    assert {(row["face_id"], row["confidence"], row["x_30"]) for row in nobody} == {("0", "0.0", "")}
    row, record = rows[5], report.rows.records[5]
    assert int(row["frame"]) == record["frame"] + 1
    assert float(row["timestamp"]) == pytest.approx(record["time"], abs=1e-6)
    assert (float(row["x_30"]), float(row["y_54"])) == pytest.approx(
        (record["landmarks"][2, 0], record["landmarks"][4, 1]), abs=0.01
    )
    assert not [name for name in rows[0] if name.startswith(("AU", "gaze", "pose_T"))]


def rotation_of(angles: np.ndarray) -> np.ndarray:
    """OpenFace's matrix, Rx Ry Rz: x to the right of the picture, y down, z away from the camera."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def test_the_rotation_of_heads_is_that_of_openface() -> None:
    angles = np.random.default_rng(0).uniform(-0.8, 0.8, (50, 3))
    model = np.asarray(POSE_MODEL) * [1, 1, -1]
    landmarks = np.stack([(model @ rotation_of(one).T)[:, :2] * 1.3 + 50 for one in angles])
    np.testing.assert_allclose(openface_rotation(head_pose(landmarks)), angles, atol=1e-5)
    assert np.isnan(openface_rotation(np.full((2, 3), np.nan))).all()


def test_scripts_for_openface_read_the_table(report: VideoReport, tmp_path: Path) -> None:
    """Published scripts strip the names, keep rows with success and confidence, and group by face."""
    pd = pytest.importorskip("pandas")
    (path,) = export_report(report, tmp_path, ["openface"], "clip")
    table = pd.read_csv(path, skipinitialspace=True)
    table.columns = table.columns.str.strip()
    table = table[(table["success"] == 1) & (table["confidence"] >= 0.5)]
    assert len(table) == int(report.rows.is_face.sum())
    assert not table[["frame", "face_id", "timestamp", "confidence", *ROTATION]].isna().any(axis=None)
    assert (table[list(ROTATION)].abs() < np.pi).all(axis=None)
    assert sorted(table.groupby("face_id")["frame"].count().index) == [track.id for track in report.tracks]
    with pytest.raises(KeyError):
        table["AU12_r"]  # absent, so that no script takes an empty column for a measurement


def test_corrected_files_are_never_replaced(report: VideoReport, tmp_path: Path) -> None:
    (path,) = export_report(report, tmp_path, ["boris"], "clip")
    export_report(report, tmp_path, ["boris"], "clip")  # the same content: nothing to replace
    path.write_text(path.read_text(encoding="utf-8").replace("Coded by Mien", "Corrected"), encoding="utf-8")
    with pytest.raises(InputError, match="may hold a person's corrections; move it") as caught:
        export_report(report, tmp_path, ["boris"], "clip")
    assert caught.value.code == "output-exists"
    assert "Corrected" in path.read_text(encoding="utf-8")


def test_from_python(report: VideoReport, tmp_path: Path) -> None:
    files = report.export(tmp_path, list(FORMATS))
    assert {file.name for file in files} >= {"my clip & co.boris", "my clip & co.eaf", "my clip & co.TextGrid"}
    assert all(file.is_file() for file in files)
    with pytest.raises(InputError, match="no export format 'elan'"):
        report.export(tmp_path, ["elan"])
    with pytest.raises(InputError, match="no format to export"):
        report.export(tmp_path, [])
    video = Path(report.source or "")
    with pytest.raises(InputError, match="is an input"):
        replace(report, source=str(tmp_path / "a.eaf")).export(
            _linked(tmp_path / "a.eaf", tmp_path / "link"), ["eaf"], name="b"
        )
    assert video.read_bytes().startswith(b"not a video")


def _linked(original: Path, folder: Path) -> Path:
    original.write_bytes(b"the video")
    folder.mkdir()
    (folder / "b.eaf").symlink_to(original)
    return folder


def test_a_folder_that_cannot_be_written_is_one_line(report: VideoReport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in FORMATS:
        with pytest.raises((OutputError, InputError)) as caught:
            report.export(tmp_path / "file", [name])
        assert "\n" not in str(caught.value)


def test_an_empty_video_and_a_face_without_heads(tmp_path: Path) -> None:
    for made in (made_frames(3, gap=(0, 3)), made_frames(20, emotions=False, ages=False)):
        report = report_of(rows_of(list(made)))
        report.export(tmp_path / "out", list(FORMATS), name=f"clip{len(report)}")
        for suffix in (".boris", ".eaf", ".TextGrid"):
            assert not [t for t in read_coding(tmp_path / "out" / f"clip{len(report)}{suffix}").tiers if t.intervals]


def test_labels_that_formats_have_no_letters_for(tmp_path: Path) -> None:
    odd = ('he said "no"', "a, b", "<&>", "tab\there", "größer", "=1+1", "3-9")
    tier = Tier("Anna & Ben", "", tuple(Interval(i * 1.0, i + 0.5, label) for i, label in enumerate(odd)))
    coding = Coding(None, (tier,), 0.0, 10.0)
    for suffix in CODING_FILES:
        back = read_coding(write_coding(coding, tmp_path / f"odd{suffix}"))
        labels = [i.label for i in back.tiers[0].intervals]
        assert labels == list(odd), suffix
    # in BORIS itself a comma separates codes; a code that a person renamed is the label
    path = tmp_path / "odd.boris"
    assert '"a; b"' in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace('"a; b"', '"a; c"'), encoding="utf-8")
    assert read_coding(path).tiers[0].intervals[1].label == "a; c"


@pytest.mark.parametrize("suffix", [".boris", ".eaf", ".TextGrid", ".csv", ".json"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"{}", b"[1, 2]", b"<a/>", b'File type = "ooTextFile"\n', b"a,b\n1,2\n"]
)
def test_damaged_codings_are_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"coding{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_coding(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ends early.TextGrid", '"ooTextFile" "TextGrid" 0 2 <exists> 1 "IntervalTier"'),
        ("huge.TextGrid", '"ooTextFile" "TextGrid" 0 2 <exists> 1e999'),
        ("encoding.eaf", '<?xml version="1.0" encoding="YTF-8"?><ANNOTATION_DOCUMENT/>'),
        ("infinite.csv", "start,end,label\n0,inf,a\n"),
        ("nan.csv", "start,end,label\nnan,1,a\n"),
        ("backwards.csv", "start,end,label\n2,1,a\n"),
        ("huge.json", '{"heads": {"e": {"labels": ["a"], "ordered": false}}, "coverage": {"seconds": 3}, '
         '"tracks": [{"track": 1, "end": 3, "episodes": [{"head": "e", "label": "a", "start": 1e999, "end": 2}]}]}'),
    ],
)  # fmt: skip
def test_what_a_fuzzer_found_is_one_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_coding(tmp_path / name)
    assert name in str(caught.value)


def test_codings_by_other_names(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_coding(tmp_path / "none.eaf")
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(InputError, match=r"no coding has the suffix '\.docx'"):
        read_coding(tmp_path / "a.docx")
    with pytest.raises(InputError, match=r"use \.boris"):
        write_coding(Coding(None, (), 0, 1), tmp_path / "a.docx")
    tables = {
        "bids.tsv": "onset\tduration\ttrial_type\n1.5\t2\thappy\n",
        "boris.csv": "Subject,Behavior,Start (s),Stop (s)\nface 1,happy,1.5,3.5\n",
        "semicolon.csv": "Start;End;Label\n1.5;3.5;happy\n",
        "ours.csv": "track,head,label,start,end,peak\n1,emotion,happy,1.5,3.5,0.9\n",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
        (tier,) = read_coding(tmp_path / name).tiers
        assert tier.intervals == (Interval(1.5, 3.5, "happy"),), name
    assert (tier.subject, tier.head) == ("face 1", "emotion")


def test_rows_of_mien_become_runs_of_the_stable_label(report: VideoReport, tmp_path: Path) -> None:
    report.save(tmp_path / "rows.csv")
    coding = read_coding(tmp_path / "rows.csv")
    names = [tier.name for tier in coding.tiers]
    assert names == ["face 2 emotion", "face 1 emotion"] or names == ["face 1 emotion", "face 2 emotion"]
    tier = next(one for one in coding.tiers if one.subject == "face 1")
    rows = report.rows.records[(report.rows.records["track"] == 1) & (report.rows.records["emotion/label"] >= 0)]
    seconds = sum(i.end - i.start for i in tier.intervals)
    assert seconds == pytest.approx(len(rows) / FPS, abs=1e-3)


def test_summaries_of_reports(report: VideoReport, tmp_path: Path) -> None:
    report.save(tmp_path / "summary.json")
    coding = read_coding(tmp_path)
    want = {name: rows for name, rows in expected(report).items() if "emotion" in name}
    assert {
        tier.name: [(round(i.start * FPS), round(i.end * FPS), i.label) for i in tier.intervals]
        for tier in coding.tiers
    } == want
    assert coding.ordered == {"age"}


def test_human_boris_projects(tmp_path: Path) -> None:
    project = {
        "subjects_conf": {}, "behavioral_categories": [],
        "behaviors_conf": {
            "0": {"code": "smile", "type": "State event", "category": ""},
            "1": {"code": "blink", "type": "Point event", "category": ""},
        },
        "observations": {
            "one": {
                "file": {"1": ["a.mp4"]}, "media_info": {"length": {"a.mp4": 9.5}},
                "events": [[7.0, "", "smile", "", ""], [1.0, "", "smile", "", ""], [2.5, "", "smile", "", ""],
                           [3.0, "No focal subject", "blink", "", ""]],
            },
            "two": {"file": {"1": []}, "events": []},
        },
    }  # fmt: skip
    path = tmp_path / "human.boris"
    path.write_text(json.dumps(project))
    with pytest.raises(InputError, match="holds 2 observations; choose one: one, two"):
        read_coding(path)
    with pytest.raises(InputError, match="no observation 'tow'; did you mean 'two'"):
        read_coding(path, "tow")
    (tier,) = read_coding(path, "one").tiers
    # a state that is never ended lasts as long as the media
    assert tier.intervals == (Interval(1.0, 2.5, "smile"), Interval(3.0, 3.0, "blink"), Interval(7.0, 9.5, "smile"))
    packed = tmp_path / "human.boris.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_coding(packed, "one").tiers == (tier,)


def test_short_textgrids_and_points(tmp_path: Path) -> None:
    text = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2.5\n<exists>\n2\n'
        '"IntervalTier"\n"mood"\n0\n2.5\n2\n'
        '0\n1.5\n"happy"\n1.5\n2.5\n""\n"TextTier"\n"clicks"\n0\n2.5\n1\n0.75\n"x ""y"" z\nnext"\n'
    )
    for encoding in ("utf-8", "utf-16"):
        path = tmp_path / f"{encoding}.TextGrid"
        path.write_bytes(text.encode(encoding))
        mood, clicks = read_coding(path).tiers
        assert mood.intervals == (Interval(0.0, 1.5, "happy"),)
        assert clicks.intervals == (Interval(0.75, 0.75, 'x "y" z\nnext'),)


def test_points_are_written_to_textgrids_of_their_own(tmp_path: Path) -> None:
    mixed = Tier("one", "mood", (Interval(0.5, 1.0, "happy"), Interval(0.75, 0.75, "click"), Interval(1.0, 2.0, "sad")))
    points = Tier("clicks", "", (Interval(0.25, 0.25, 'a "b"'),))
    path = write_coding(Coding(None, (mixed, points), 0.0, 2.0), tmp_path / "points.TextGrid")
    found = {tier.name: tier.intervals for tier in read_coding(path).tiers}
    assert found == {
        "one mood": (Interval(0.5, 1.0, "happy"), Interval(1.0, 2.0, "sad")),
        "one mood (points)": (Interval(0.75, 0.75, "click"),),
        "clicks": (Interval(0.25, 0.25, 'a "b"'),),
    }
    assert path.read_text().count('class = "TextTier"') == 2
    textgrid = pytest.importorskip("textgrid")
    tiers = textgrid.TextGrid.fromFile(str(path))
    assert [(len(tier), type(tier).__name__) for tier in tiers] == [
        (3, "IntervalTier"), (1, "PointTier"), (1, "PointTier")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["start;end;label\n0;0,5;happy\n0,5;1;sad\n", 'start,end,label\n0,"0,5",happy\n0.5,1,sad\n']
)
def test_times_with_a_decimal_comma_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "coding.csv").write_text(text)
    (tier,) = read_coding(tmp_path / "coding.csv").tiers
    assert [(one.start, one.end, one.label) for one in tier.intervals] == [(0.0, 0.5, "happy"), (0.5, 1.0, "sad")]


def test_the_folder_of_all_reports_is_that_of_its_only_one(report: VideoReport, tmp_path: Path) -> None:
    for name in ("clip", "other"):
        (tmp_path / name).mkdir()
        report.save(tmp_path / name / "summary.json")
        if name == "clip":
            assert read_coding(tmp_path) == read_coding(tmp_path / "clip")
    with pytest.raises(InputError, match=r"holds 2 reports; give the folder of one of them, such as .*clip"):
        read_coding(tmp_path)


def test_a_table_of_several_recordings_is_never_read_as_one(tmp_path: Path) -> None:
    header = "Observation id,Subject,Behavior,Start (s),Stop (s)\n"
    path = tmp_path / "aggregated.csv"
    path.write_text(f"{header}one,Anna,happy,0,1\ntwo,Anna,sad,0,2\n")
    assert observations(path) == ("one", "two")
    with pytest.raises(InputError, match="holds 2 observations; choose one: one, two"):
        read_coding(path)
    assert read_coding(path, "two").tiers == (Tier("Anna", "", (Interval(0.0, 2.0, "sad"),)),)
    rows = "source,time,track,emotion_stable\n"
    path.write_text(rows + "a.mp4,0,1,happy\na.mp4,1,1,happy\nb.mp4,0,1,sad\n")
    with pytest.raises(InputError, match=r"choose one: a\.mp4, b\.mp4"):
        read_coding(path)
    assert read_coding(path, "a.mp4").tiers[0].intervals == (Interval(0.0, 2.0, "happy"),)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("face 1,sad", "line 3: a time is missing; give seconds"),
        ("face 1,sad,soon,2", "line 3: 'soon' is no time; give seconds"),
        ("face 1,sad,2,1", "line 3: a label from 2 to 1 seconds; a label ends at or after its start"),
    ],
)
def test_a_row_that_is_no_label_is_named_by_its_line(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "coding.csv"
    path.write_text(f"subject,label,start,end\nface 1,happy,0,1\n{rows}\n")
    with pytest.raises(DataError, match=message):
        read_coding(path)


def test_tables_hold_clock_times_and_cells_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "coding.csv"
    path.write_text('label,start,end\n"two\nlines",0:01.5,"1:00:02,25"\n', newline="")
    assert read_coding(path).tiers[0].intervals == (Interval(1.5, 3602.25, "two\nlines"),)


def test_the_openface_table_is_a_coding_too(report: VideoReport, tmp_path: Path) -> None:
    (path,) = export_report(report, tmp_path, ["openface"], "clip")
    report.save(tmp_path / "rows.csv")
    assert {t.name for t in read_coding(path).tiers} == {t.name for t in read_coding(tmp_path / "rows.csv").tiers}


def test_tiers_that_mien_named_in_a_textgrid_have_their_head(report: VideoReport, tmp_path: Path) -> None:
    coding = report_coding(report)
    text = tmp_path / "clip.txt"
    text.write_bytes(write_coding(coding, tmp_path / "clip.TextGrid").read_bytes().replace(b".", b","))
    found = read_coding(text)  # by its content, and with decimal commas
    assert {(t.subject, t.head) for t in found.tiers} == {(t.subject, t.head) for t in coding.tiers}
    assert [i.start for i in found.tiers[0].intervals] == pytest.approx([i.start for i in coding.tiers[0].intervals])


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "label,start,end\nfröhlich,0,1\n"), ("a.TextGrid", 'Object class = "fröhlich"')]
)
def test_texts_in_latin_1_are_to_be_saved_again(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"is no text in UTF-8 or UTF-16 .*; save it again as UTF-8 or UTF-16"):
        read_coding(tmp_path / name)


def elan(slots: str, *tiers: str) -> str:
    return f"<ANNOTATION_DOCUMENT><TIME_ORDER>{slots}</TIME_ORDER>{''.join(tiers)}</ANNOTATION_DOCUMENT>"


def annotation(first: str, last: str, label: str) -> str:
    references = f'ANNOTATION_ID="{label}" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{last}"'
    value = f"<ANNOTATION_VALUE>{label}</ANNOTATION_VALUE>"
    return f"<ANNOTATION><ALIGNABLE_ANNOTATION {references}>{value}</ALIGNABLE_ANNOTATION></ANNOTATION>"


def test_annotations_that_divide_another_have_equal_lengths(tmp_path: Path) -> None:
    slots = '<TIME_SLOT TIME_SLOT_ID="s0" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="s1"/><TIME_SLOT TIME_SLOT_ID="s2"/>'
    labels = annotation("s0", "s1", "a") + annotation("s1", "s2", "b") + annotation("s2", "s3", "c")
    tier = f'<TIER TIER_ID="words" LINGUISTIC_TYPE_REF="default-lt">{labels}</TIER>'
    path = tmp_path / "a.eaf"
    path.write_text(elan(f'{slots}<TIME_SLOT TIME_SLOT_ID="s3" TIME_VALUE="3000"/>', tier))
    assert [(i.start, i.end) for i in read_coding(path).tiers[0].intervals] == [(0, 1), (1, 2), (2, 3)]
    path.write_text(elan(slots, tier))
    with pytest.raises(DataError, match=r"the time of the slot s. is missing"):
        read_coding(path)


def test_a_copied_tier_of_an_elan_file_keeps_its_own_name(tmp_path: Path) -> None:
    slots = '<TIME_SLOT TIME_SLOT_ID="s0" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="s1" TIME_VALUE="1000"/>'
    attributes = 'PARTICIPANT="face 1" LINGUISTIC_TYPE_REF="emotion"'
    labels = annotation("s0", "s1", "a")
    tiers = [f'<TIER TIER_ID="face 1 emotion{end}" {attributes}>{labels}</TIER>' for end in ("", "-cp")]
    path = tmp_path / "a.eaf"
    path.write_text(elan(slots, *tiers))
    assert [t.name for t in read_coding(path).tiers] == ["face 1 emotion", "face 1 emotion-cp"]


def test_heads_keep_their_capitals_in_tables(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Source,Time,track,N_stable,n2_stable\na.mp4,0,1,happy,sad\n")
    assert [tier.head for tier in read_coding(path).tiers] == ["N", "n2"]
