"""``mien analyze`` on videos."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import Result

from helpers.clips import Pan, clip, side_by_side
from helpers.commands import runner
from helpers.pictures import astronaut
from mien.cli import cli

SIZE = (192, 144)
FACE = Pan.astronaut(SIZE, eye_distance=30.0, step=(0.3, 0.1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    clip(folder / "a.mp4", frames=30, draw=FACE, audio=1.2)
    clip(folder / "b.mkv", frames=20, draw=FACE)
    return folder


def call(*arguments: str | Path) -> Result:
    return runner().invoke(cli, ["analyze", *map(str, arguments)], catch_exceptions=False)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_clip_is_shown_in_a_table(folder: Path) -> None:
    result = call(folder / "a.mp4")
    assert result.exit_code == 0
    assert "happy" in result.stdout
    assert "30 frames" in result.stdout


def test_json_is_one_line_a_frame(folder: Path) -> None:
    result = call(folder / "a.mp4", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(30))
    assert lines[-1]["faces"][0]["track"] == 1
    assert lines[-1]["faces"][0]["predictions"]["emotion"]["stable"] == "happy"
    assert lines[10]["time"] == pytest.approx(0.4)


def test_a_folder_of_clips(folder: Path, tmp_path: Path) -> None:
    result = call(folder, "--csv", tmp_path / "rows.csv", "--save", tmp_path / "out", "--report", tmp_path / "report")
    assert result.exit_code == 0
    assert len(rows_of(tmp_path / "rows.csv")) == 50
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["a.mp4", "b.mp4"]
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == [
        "a", "b", "episodes.csv", "index.html", "progress.json", "tracks.csv",
    ]  # fmt: skip
    again = call(
        folder, "--csv", tmp_path / "rows.csv", "--save", tmp_path / "out", "--report", tmp_path / "report", "--resume"
    )
    assert again.exit_code == 0
    assert "2 of 2 videos were finished before" in again.stderr
    assert len(rows_of(tmp_path / "rows.csv")) == 50


def test_one_clip_is_saved_under_the_name_given(folder: Path, tmp_path: Path) -> None:
    result = call(folder / "a.mp4", "--save", tmp_path / "annotated.mp4")
    assert result.exit_code == 0
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert {s.type for s in container.streams} == {"video", "audio"}
        assert sum(1 for _ in container.decode(video=0)) == 30
    assert not (tmp_path / "annotated.mp4.parts").exists()


def test_selection(folder: Path, tmp_path: Path) -> None:
    call(folder / "a.mp4", "--every", "5", "--csv", tmp_path / "every.csv")
    assert [int(r["frame"]) for r in rows_of(tmp_path / "every.csv")] == [0, 5, 10, 15, 20, 25]
    call(folder / "a.mp4", "--start", "0.4", "--end", "0.8", "--csv", tmp_path / "part.csv")
    frames = [int(r["frame"]) for r in rows_of(tmp_path / "part.csv")]
    assert frames[0] == 10
    assert frames[-1] in (19, 20)
    call(folder / "a.mp4", "--fps", "5", "--csv", tmp_path / "fps.csv")
    assert len(rows_of(tmp_path / "fps.csv")) == 6


def test_numbered_pictures_are_a_video(tmp_path: Path) -> None:
    pictures = tmp_path / "frames"
    pictures.mkdir()
    for i in range(8, 12):  # natural order: 9 before 10
        cv2.imwrite(str(pictures / f"f{i}.png"), cv2.cvtColor(FACE(i), cv2.COLOR_RGB2BGR))
    result = call(pictures, "--sequence", "10", "--csv", tmp_path / "rows.csv")
    assert result.exit_code == 0
    rows = rows_of(tmp_path / "rows.csv")
    assert [float(r["time"]) for r in rows] == [0.0, 0.1, 0.2, 0.3]
    assert {r["track"] for r in rows} == {"1"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("frames/f%04d.png",), "names numbered pictures: give their rate with --sequence F"),
        (("frames", "--sequence", "10", "--fps", "5"), "give --every N to take fewer, not --fps"),
        (("clip.mp4", "--sequence", "10"), "--sequence is for folders of numbered pictures, and clip.mp4 is a video"),
        (("a.png", "--json", "out.json"), "--json prints on stdout and takes no file: leave out.json out"),
    ],
)
def test_inputs_that_were_meant_otherwise(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames").mkdir()
    (tmp_path / "clip.mp4").touch()
    result = call(*arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_changes_from_a_resting_face_are_written_beside_the_report(folder: Path, tmp_path: Path) -> None:
    result = call(folder / "a.mp4", "--baseline", "first:1s", "--report", tmp_path / "first", "--threads", "1")
    assert result.exit_code == 0
    (path,) = (tmp_path / "first").rglob("changes.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["head"] == "emotion"
    assert sum(found["resting"]["1"].values()) == pytest.approx(1, abs=1e-3)
    rows = rows_of(path.with_name("changes.csv"))
    assert [int(row["frame"]) for row in rows] == list(range(30))
    assert list(rows[0]) == ["frame", "time", "track", *(f"change_{label}" for label in found["resting"]["1"])]
    # what one call wrote is a baseline of the next
    assert call(folder / "a.mp4", "--baseline", path, "--report", tmp_path / "again", "--threads", "1").exit_code == 0
    (again,) = (tmp_path / "again").rglob("changes.json")
    assert json.loads(again.read_text(encoding="utf-8"))["resting"] == found["resting"]
    change = float(rows_of(again.with_name("changes.csv"))[-1]["change_happy"])
    assert change == pytest.approx(float(rows[-1]["change_happy"]), abs=1e-4)
    result = call(folder / "a.mp4", "--baseline", "first:1s")
    assert result.exit_code == 2
    assert "--baseline writes changes.csv and changes.json into the report folder" in result.stderr


def test_photos_and_clips_in_one_call(folder: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    shutil.copy(folder / "b.mkv", mixed)
    cv2.imwrite(str(mixed / "photo.png"), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    result = call(mixed, "--save", tmp_path / "out")
    assert result.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["b.mp4", "photo.png"]


def test_video_options_without_a_video(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((60, 60, 3), 90, np.uint8))
    result = call(tmp_path / "photo.png", "--every", "2")
    assert result.exit_code == 2
    assert "for videos" in result.stderr


def test_a_bad_clip_is_one_line_and_the_others_are_done(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("dear diary\n" * 99)
    result = call(tmp_path / "text.mp4", folder / "b.mkv", "--csv", tmp_path / "rows.csv")
    assert result.exit_code == 1
    assert sum("text.mp4" in line for line in result.stderr.splitlines()) == 1
    assert len(rows_of(tmp_path / "rows.csv")) == 20


def test_resume_needs_a_report(folder: Path) -> None:
    result = runner().invoke(cli, ["analyze", str(folder / "a.mp4"), "--resume"])
    assert "--report DIR" in str(result.exception)


def test_no_models(folder: Path, tmp_path: Path) -> None:
    result = call(
        folder / "b.mkv",
        "--models",
        "none",
        "--csv",
        tmp_path / "r.csv",
        "--save",
        tmp_path / "o.mp4",
    )
    assert result.exit_code == 0
    assert "emotion" not in rows_of(tmp_path / "r.csv")[0]


def test_two_people_keep_their_numbers(tmp_path: Path) -> None:
    two = clip(
        tmp_path / "two.mp4",
        frames=20,
        draw=side_by_side(Pan.astronaut(SIZE, eye_distance=30.0), Pan.hopper(SIZE, eye_distance=30.0)),
    )
    call(two, "--csv", tmp_path / "rows.csv", "--detect-every", "4")
    rows = rows_of(tmp_path / "rows.csv")
    for track, left in (("1", True), ("2", False)):
        mine = [float(r["x1"]) for r in rows if r["track"] == track]
        assert len(mine) == 20
        assert all((x < 150) is left for x in mine)
