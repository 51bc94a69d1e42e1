"""``mien analyze`` on photos and videos together: one table with the columns of both."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image

from helpers.clips import Pan, clip
from helpers.commands import runner
from helpers.faces import HEADS
from helpers.pictures import astronaut, noise
from mien.cli import cli
from mien.cli.videos import ProgressDisplay
from mien.pipeline.photos import PhotoJob
from mien.results.face_columns import face_columns, mixed_columns

SIZE = (192, 144)
Row = dict[str, str]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos, one of them without a face, and two clips."""
    folder = tmp_path_factory.mktemp("mixed")
    for name, picture in (("a.png", astronaut()), ("c.png", noise(80, 80)), ("d.jpg", astronaut()[:300])):
        Image.fromarray(picture).save(folder / name)
    for name in ("b.mp4", "e.mkv"):
        clip(folder / name, frames=20, draw=Pan.astronaut(SIZE, eye_distance=30.0))
    return folder


def call(*arguments: str | Path) -> Result:
    return runner().invoke(cli, ["analyze", *map(str, arguments), "--threads", "1"], catch_exceptions=False)


def rows_of(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def known(row: Row) -> Row:
    return {name: value for name, value in row.items() if value}


def test_the_rows_are_those_of_two_tables(mixed: Path, tmp_path: Path) -> None:
    result = call(mixed, "--csv", tmp_path / "all.csv", "--parquet", tmp_path / "all.parquet")
    assert result.exit_code == 0
    call(*mixed.glob("*.png"), *mixed.glob("*.jpg"), "--csv", tmp_path / "photos.csv")
    call(*sorted(mixed.glob("*.m*")), "--csv", tmp_path / "videos.csv")
    rows, photos, videos = (rows_of(tmp_path / f"{name}.csv") for name in ("all", "photos", "videos"))
    assert sorted(map(repr, map(known, rows))) == sorted(map(repr, map(known, [*photos, *videos])), key=str)
    assert list(rows[0]) == ["source", "face", *list(videos[0])[1:]]
    assert {bool(row["face"]) for row in rows if row["track"]} == {False}
    assert [row["source"][-5:] for row in rows[:3]] == ["a.png", "c.png", "d.jpg"]
    table = pq.read_table(tmp_path / "all.parquet")
    assert table.column_names == list(rows[0])
    assert [one["time"] for one in table.to_pylist()] == [float(r["time"]) if r["time"] else None for r in rows]
    assert {one["detected"] for one in table.to_pylist()} == {None, True}


def test_the_table_goes_to_stdout_with_one_header(mixed: Path, tmp_path: Path) -> None:
    call(mixed, "--csv", tmp_path / "all.csv")
    command = [sys.executable, "-m", "mien", "analyze", str(mixed), "--csv", "-", "--threads", "1"]
    run = subprocess.run(command, capture_output=True, check=True, timeout=300)
    assert run.stdout == (tmp_path / "all.csv").read_bytes()


def test_photos_that_cannot_be_read_leave_the_rows_of_the_videos(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    result = call(tmp_path / "text.jpg", mixed / "b.mp4", "--csv", tmp_path / "all.csv")
    assert result.exit_code == 1
    assert {row["source"] for row in rows_of(tmp_path / "all.csv")} == {str(mixed / "b.mp4")}
    assert len(rows_of(tmp_path / "all.csv")) == 20


def test_an_output_that_is_refused_leaves_the_rows_of_the_photos(mixed: Path, tmp_path: Path) -> None:
    """The annotated video would replace a file that is not of mien; the photos are done by then."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.mp4").write_text("thesis")
    result = runner().invoke(
        cli, ["analyze", str(mixed), "--parquet", str(tmp_path / "all.parquet"), "--save", str(tmp_path / "out")]
    )
    assert result.exit_code != 0
    assert (tmp_path / "out" / "b.mp4").read_text() == "thesis"
    assert pq.read_metadata(tmp_path / "all.parquet").num_rows == 3
    assert not list(tmp_path.glob("*.parts"))


def interrupted_after(method: Callable[..., Any], calls: int) -> Callable[..., Any]:
    done = 0

    def run(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        done += 1
        if done > calls:
            raise KeyboardInterrupt
        return method(*arguments, **options)

    return run


@pytest.mark.parametrize(("where", "calls"), [((PhotoJob, "_write"), 2), ((ProgressDisplay, "update"), 2)])
def test_an_interrupted_run_is_resumed(
    where: tuple[type, str], calls: int, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = ("--csv", "all.csv", "--parquet", "all.parquet", "--report", "report")
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    call(mixed, *outputs)
    monkeypatch.chdir(tmp_path / "parts")
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupted_after(getattr(*where), calls))
        stopped = call(mixed, *outputs)
    assert stopped.exit_code == 130
    assert "the same call with --resume continues the run" in stopped.stderr
    assert rows_of(Path("all.csv"))
    resumed = call(mixed, *outputs, "--resume")
    assert resumed.exit_code == 0
    assert "photos were analysed before" in resumed.stderr
    assert Path("all.csv").read_bytes() == Path("../whole/all.csv").read_bytes()
    assert pq.read_table("all.parquet").equals(pq.read_table("../whole/all.parquet"))


def test_a_resumed_run_has_the_same_photos_and_videos(mixed: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(mixed, own)
    table, report = ("--csv", tmp_path / "all.csv"), ("--report", tmp_path / "report")
    refused = call(own, *table, "--resume")
    assert refused.exit_code == 2
    assert "can only be resumed with --report" in refused.stderr
    assert call(own, *table, *report).exit_code == 0
    before = (tmp_path / "all.csv").read_bytes()
    (own / "a.png").unlink()
    other = runner().invoke(cli, ["analyze", str(own), *map(str, (*table, *report)), "--resume"])
    assert other.exit_code != 0
    assert "the photos, their sizes or times" in str(other.exception)
    assert (tmp_path / "all.csv").read_bytes() == before


def test_columns_of_both_stand_once() -> None:
    columns = mixed_columns(HEADS)
    first = "source face frame time track x1 y1 x2 y2 score yaw"
    assert [column.name for column in columns][:11] == first.split()
    names = [c.name for video in (False, True) for c in face_columns(HEADS, video=video) if c.flat]
    assert {column.name for column in columns} == set(names)
    assert len(columns) == len(set(names))
