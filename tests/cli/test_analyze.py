"""``mien analyze``: outputs that are inputs, tables on stdout, folders of annotated pictures inside the source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from helpers.commands import CommandRun
from mien.cli import COMMANDS, cli
from mien.cli.options import OutputCommand, OutputPath

Mien = Callable[..., CommandRun]


@pytest.mark.parametrize(
    "arguments",
    [
        ["photos", "--save", "photos"],
        ["photos/face.jpg", "--save", "photos"],
        ["photos/face.jpg", "--save", "photos/face.jpg"],
        ["photos/*.jpg", "--csv", "photos/../photos/face.jpg"],
        ["photos/face.jpg", "--parquet", "twin.jpg"],
        ["photos", "--save", "photos/../photos/"],
        ["photos/face.jpg", "--report", "photos/face.jpg"],
    ],
)
def test_an_output_that_is_an_input_is_refused_before_anything_is_opened(
    arguments: list[str], mien: Mien, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    os.link("photos/face.jpg", "twin.jpg")
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    run = mien("analyze", *arguments)
    assert run.code == 2
    assert "an input" in run.err
    assert len(run.err.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    assert json.loads(mien("--json-errors", "analyze", *arguments).err)["code"] == "output-is-input"


def test_annotated_pictures_inside_the_source_are_not_analysed_later(mien: Mien, photos: Path) -> None:
    for _ in range(2):
        assert mien("analyze", photos, "--save", photos / "annotated").code == 0
    lines = mien("analyze", photos, "--json").out.splitlines()
    assert [Path(json.loads(line)["source"]).name for line in lines] == ["face.jpg", "none.png"]
    # named itself, the folder is analysed
    assert len(mien("analyze", photos / "annotated", "--json").out.splitlines()) == 2


def test_a_folder_that_held_pictures_before_is_still_analysed(mien: Mien, photos: Path) -> None:
    (photos / "more").mkdir()
    (photos / "none.png").rename(photos / "more" / "none.png")
    assert mien("analyze", photos / "face.jpg", "--save", photos / "more").code == 0
    assert len(mien("analyze", photos, "--json").out.splitlines()) == 3


def test_where_nothing_is_written_no_folder_is_left(mien: Mien, photos: Path) -> None:
    (photos / "face.jpg").write_bytes(b"")
    assert mien("analyze", photos / "face.jpg", photos / "face.jpg", "--save", photos / "annotated").code == 1
    assert sorted(path.name for path in photos.iterdir()) == ["face.jpg", "none.png"]


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_a_table_goes_to_stdout_alone(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mien", "analyze", str(photos), "--csv"]
    for name in ("-", "/dev/stdout"):
        run = subprocess.run([*command, name], capture_output=True, text=True, check=True, timeout=120)
        assert [line.split(",")[0].rpartition("/")[2] for line in run.stdout.splitlines()] == [
            "source",
            "face.jpg",
            "none.png",
        ]
    with (tmp_path / "rows.csv").open("w") as file:
        subprocess.run([*command, "-"], stdout=file, check=True, timeout=120)
    assert (tmp_path / "rows.csv").read_text() == run.stdout


def test_two_outputs_on_stdout_are_refused(mien: Mien, photos: Path) -> None:
    run = mien("analyze", photos, "--json", "--csv", "-")
    assert run.code == 2
    assert "only one of" in run.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_results_are_printed_though_their_table_cannot_be_written(mien: Mien, photos: Path) -> None:
    run = mien("analyze", photos / "face.jpg", "--csv", "/dev/full")
    assert run.code == 1
    assert "happy" in run.out
    assert run.err == ("mien: /dev/full: cannot be written: No space left on device; what was written before is kept\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_behind_stdout_is_one_line(photos: Path) -> None:
    command = [sys.executable, "-m", "mien", "analyze", str(photos), "--json"]
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert run.returncode == 1
    assert run.stderr == "mien: standard output: cannot be written: No space left on device\n"


def test_json_lines_are_json_in_every_encoding(photos: Path) -> None:
    (photos / "face.jpg").rename(photos / "é ☺ 한국어 🙂.jpg")
    command = [sys.executable, "-m", "mien", "analyze", str(photos), "--json"]
    for encoding in ("cp1252", "latin-1", "utf-8"):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        run = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
        names = [Path(json.loads(line)["source"]).name for line in run.stdout.decode(encoding).splitlines()]
        assert sorted(names) == ["none.png", "é ☺ 한국어 🙂.jpg"]


def commands(group: click.Group) -> list[click.Command]:
    context = click.Context(group)
    found = [group.get_command(context, name) for name in group.list_commands(context)]
    return [one for command in found for one in (commands(command) if isinstance(command, click.Group) else [command])]


def test_every_command_with_an_output_checks_it_before_it_runs() -> None:
    writing = [one for one in commands(cli) if any(isinstance(p.type, OutputPath) for p in one.params)]
    assert len(writing) >= len(COMMANDS) - 4
    assert all(isinstance(one, OutputCommand) for one in writing)
    # an option that names an output is of that type
    for one in commands(cli):
        for parameter in one.params:
            if isinstance(parameter, click.Option) and parameter.name in (
                "out",
                "csv_file",
                "parquet_file",
                "json_file",
                "report",
                "record",
                "html",
                "kept",
            ):
                assert isinstance(parameter.type, OutputPath), (one.name, parameter.name)


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("given", "message"),
    [("<&-", "stdin: is closed; pass a picture: mien analyze - < photo.jpg"), ("</dev/null", "stdin: is empty")],
)
def test_standard_input_without_a_picture_is_one_line(given: str, message: str) -> None:
    call = f'"{sys.executable}" -m mien analyze - --json {given}'
    child = subprocess.run(["sh", "-c", call], capture_output=True, text=True, timeout=240)
    assert child.returncode == 1
    assert child.stderr.startswith(f"mien: {message}")
    assert child.stderr.count("\n") == 1
