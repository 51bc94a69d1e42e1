"""Every command that writes × places that cannot be written, links, devices, pipes, originals, files that exist.

The commands are those of ``mien --help``: a test checks that none that writes is missing from the table.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from helpers.clips import clip
from helpers.commands import CommandRun
from helpers.labelled_pictures import fabricated
from helpers.pictures import astronaut
from helpers.waiting import PATIENCE
from mien.cli import cli
from mien.cli.options import OutputPath
from mien.datasets.prepared_file import write_prepared
from mien.files import OUTPUT_MARKER

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes, devices and limits of POSIX")

Arguments = Callable[[Path, Any], list[Any]]
"""The folder of the inputs, the output → arguments of a call."""
QUICK = ("--models", "none")


@dataclass(frozen=True)
class Writer:
    """A command with one of its outputs.

    Attributes:
        command: its name.
        option: of the output; the name of an argument.
        suffix: of the file; empty for a folder.
        arguments: of a call.
        source: an input of that call, relative to the folder of the inputs; empty for none.
    """

    command: str
    option: str
    suffix: str
    arguments: Arguments
    source: str

    def __str__(self) -> str:
        return f"{self.command} {self.option} {Path(self.source).suffix}"


WRITERS = [
    Writer("analyze", "--csv", ".csv", lambda d, o: [d / "photos", "--csv", o, *QUICK], "photos/face.png"),
    Writer("analyze", "--parquet", ".parquet", lambda d, o: [d / "photos", "--parquet", o, *QUICK], "photos/face.png"),
    Writer("analyze", "--save", ".png", lambda d, o: [d / "photos/face.png", "--save", o, *QUICK], "photos/face.png"),
    Writer("analyze", "--save", "", lambda d, o: [d / "photos", "--save", o, *QUICK], "photos"),
    Writer("analyze", "--csv", ".csv", lambda d, o: [d / "clip.mp4", "--csv", o, *QUICK], "clip.mp4"),
    Writer("analyze", "--parquet", ".parquet", lambda d, o: [d / "clip.mp4", "--parquet", o, *QUICK], "clip.mp4"),
    Writer("analyze", "--save", ".mp4", lambda d, o: [d / "clip.mp4", "--save", o, *QUICK], "clip.mp4"),
    Writer("analyze", "--report", "", lambda d, o: [d / "clip.mp4", "--report", o, *QUICK], "clip.mp4"),
    Writer("analyze", "--export-to", "",
           lambda d, o: [d / "clip.mp4", "--export", "boris,bids,openface", "--export-to", o, *QUICK], "clip.mp4"),
    Writer("agree", "--json", ".json", lambda d, o: [d / "a.csv", d / "b.csv", "--json", o], "a.csv"),
    Writer("agree", "--differences", ".eaf", lambda d, o: [d / "a.csv", d / "b.csv", "--differences", o], "a.csv"),
    Writer("agree", "--timeline", ".png", lambda d, o: [d / "a.csv", d / "b.csv", "--timeline", o], "b.csv"),
    Writer("notice", "--out", ".txt", lambda d, o: ["--out", o], ""),
    Writer("notice", "--sign", ".png", lambda d, o: ["--sign", o], ""),
    Writer("batch", "target", "", lambda d, o: [d / "photos", o, "--workers", 1, *QUICK], "photos"),
    Writer("demo", "--out", ".png", lambda d, o: ["--photo", d / "photos/face.png", "--out", o], "photos/face.png"),
    Writer("data prepare", "--out", ".parquet", lambda d, o: [d / "classes", "--out", o], "classes/train/happy/0.png"),
    Writer("data prepare", "--images", "", lambda d, o: [d / "classes", "--images", o], "classes"),
    Writer("data audit", "--json", ".json",
           lambda d, o: [d / "a.parquet", "--checks", "balance", "--json", o], "a.parquet"),
    Writer("data audit", "--json-summary", ".json",
           lambda d, o: [d / "a.parquet", "--checks", "balance", "--json-summary", o], "a.parquet"),
    Writer("data audit", "--html", ".html",
           lambda d, o: [d / "a.parquet", "--checks", "balance", "--html", o], "a.parquet"),
    Writer("models", "--out", "", lambda d, o: ["emotion", "--out", o], ""),
    Writer("data croissant", "--out", ".json", lambda d, o: [d / "a.parquet", "--out", o], "a.parquet"),
    Writer("data clean", "--out", ".parquet", lambda d, o: [d / "a.parquet", "--out", o], "a.parquet"),
    Writer("data clean", "--kept", ".csv",
           lambda d, o: [d / "a.parquet", "--out", d / "b.parquet", "--kept", o], "a.parquet"),
    Writer("data clean", "--json", ".json",
           lambda d, o: [d / "a.parquet", "--out", d / "b.parquet", "--json", o], "a.parquet"),
    Writer("evaluate", "--json", ".json",
           lambda d, o: ["emotion", "--data", d / "a.parquet", "--json", o], "a.parquet"),
    Writer("evaluate", "--report", "", lambda d, o: ["emotion", "--data", d / "a.parquet", "--report", o], "a.parquet"),
    Writer("explain", "--out", "", lambda d, o: [d / "photos/face.png", "--out", o], "photos/face.png"),
]  # fmt: skip
ELSEWHERE = {
    # a camera; hours of training; a fit, a run folder, or a model that training made
    "live --csv", "live --record", "tune --out", "tune --apply", "reproduce --out", "reproduce --results",
    "web out", "web --single",  # they need npm
    "doctor --benchmark",  # it times the machine
    "calibrate --json", "calibrate --out", "quantize --json", "quantize --out", "export --out", "train --out",
}  # fmt: skip
"""Outputs of the same type whose commands are too long for a table; `OutputCommand` and the writers are the same."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "photos").mkdir()
    Image.fromarray(astronaut()).save(folder / "photos" / "face.png")
    clip(folder / "clip.mp4", frames=4, size=(64, 48))
    for split in ("train", "test"):
        for number, name in enumerate(("happy", "sad")):
            (folder / "classes" / split / name).mkdir(parents=True)
            Image.new("L", (48, 48), 100 * number).save(folder / "classes" / split / name / "0.png")
    write_prepared(fabricated(), folder / "a.parquet")
    for name, label in (("a", "happy"), ("b", "sad")):
        (folder / f"{name}.csv").write_text(f"start,end,label\n0,1,happy\n1,2,{label}\n")
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandRun]:
    """As the fixture ``mien``; what is printed goes to memory, not to a file of limited size."""
    import sys

    from mien.cli import main

    def run(*arguments: object) -> CommandRun:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        monkeypatch.setattr("mien.cli._exit_at_once", sys.exit)
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return CommandRun(int(stopped.value.code or 0), captured.out, captured.err)

    return run


def run(call: Callable[..., CommandRun], writer: Writer, inputs: Path, output: Any) -> CommandRun:
    return call(*writer.command.split(), *writer.arguments(inputs, output))


def errors(run: CommandRun) -> list[str]:
    return [line for line in run.err.splitlines() if line.startswith("mien: ")]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        elif command is not None:
            yield before + name, command


def test_the_table_has_every_output() -> None:
    outputs = {
        f"{name} {parameter.opts[0]}"
        for name, command in commands(cli)
        for parameter in command.params
        if isinstance(parameter.type, OutputPath)
    }
    known = {f"{one.command} {one.option}" for one in WRITERS}
    assert outputs | {"analyze --save", "batch target"} == known | ELSEWHERE


@pytest.mark.parametrize("writer", WRITERS, ids=str)
def test_a_full_disk_is_one_line_and_leaves_no_file(writer: Writer, call: Any, inputs: Path, tmp_path: Path) -> None:
    before = contents(inputs)
    with full_disk():
        result = run(call, writer, inputs, tmp_path / f"out{writer.suffix}")
    assert result.code == 1
    (line,) = errors(result)
    assert "cannot be written" in line
    assert not contents(tmp_path) or set(map(len, contents(tmp_path).values())) == {0}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != OUTPUT_MARKER]
    assert contents(inputs) == before


PLACES = [
    (writer, place)
    for writer in WRITERS
    for place in ("below-a-file", "no-permission", "too-long", "wrong-kind")
    # a folder of that name gets the picture
    if not (place == "wrong-kind" and writer.suffix and writer.option == "--save")
]


@pytest.mark.parametrize(("writer", "place"), PLACES, ids=str)
def test_what_cannot_be_written_is_one_line(
    writer: Writer, place: str, call: Any, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / f"out{writer.suffix}"
    if place == "below-a-file":
        output.write_text("a file")
        output = output / f"out{writer.suffix}"
    elif place == "no-permission":
        # root may write anywhere, so what the system would report is replaced
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and access(path, mode))
    elif place == "too-long":
        output = tmp_path / f"{'x' * 300}{writer.suffix}"
    elif writer.suffix:
        output.mkdir()
    else:
        output.write_text("a file")
    before = contents(tmp_path)
    result = run(call, writer, inputs, output)
    assert result.code == 1
    (line,) = errors(result)
    assert "cannot be written" in line or "is a file" in line or "is a folder" in line
    assert contents(tmp_path) == before


@pytest.mark.parametrize("writer", [one for one in WRITERS if one.suffix], ids=str)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "existing"])
def test_links_are_followed_and_files_are_replaced(
    writer: Writer, kind: str, call: Any, inputs: Path, tmp_path: Path
) -> None:
    output, behind = tmp_path / f"out{writer.suffix}", tmp_path / "behind"
    if kind == "existing":
        output.write_text("old")
    else:
        output.symlink_to("behind")
        if kind == "link":
            behind.write_text("old")
    assert run(call, writer, inputs, output).code == 0
    assert output.is_symlink() == (kind != "existing")
    assert output.read_bytes() not in (b"", b"old")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({output.name, output.resolve().name})


@pytest.mark.parametrize("writer", [one for one in WRITERS if one.suffix], ids=str)
def test_devices_and_pipes_are_written_through(writer: Writer, call: Any, inputs: Path, tmp_path: Path) -> None:
    pipe, received = tmp_path / f"out{writer.suffix}", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert run(call, writer, inputs, pipe).code == 0
    reader.join(PATIENCE)
    assert received[0]
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == [pipe.name]
    assert run(call, writer, inputs, "/dev/null").code == 0
    result = run(call, writer, inputs, "/dev/full")
    assert result.code == 1
    assert len(errors(result)) == 1
    assert "/dev/full: cannot be written: No space left on device" in result.err


SPELLINGS = [
    (writer, spelling)
    for writer in WRITERS
    for spelling in ("itself", "other path", "link", "hard link")
    if writer.source
    # folders have no hard links, and a second name of a file in a folder is replaced without touching the file
    and not (spelling == "hard link" and (not Path(writer.source).suffix or "classes" in writer.source))
]


@pytest.mark.parametrize(("writer", "spelling"), SPELLINGS, ids=str)
def test_an_output_that_is_an_input_is_refused(
    writer: Writer, spelling: str, call: Any, inputs: Path, tmp_path: Path
) -> None:
    source = inputs / writer.source
    output = {
        "itself": source,
        "other path": source.parent / ".." / source.parent.name / source.name,
        "link": tmp_path / "link",
        "hard link": tmp_path / "twin",
    }[spelling]
    if spelling == "link":
        output.symlink_to(source)
    elif spelling == "hard link":
        os.link(source, output)
    before = contents(inputs)
    result = run(call, writer, inputs, output)
    assert result.code == 2
    (line,) = errors(result)
    assert "input" in line or "source" in line or "read" in line
    assert contents(inputs) == before


def test_an_original_below_the_source_is_not_replaced(call: Any, inputs: Path) -> None:
    notes = inputs / "classes" / "notes.parquet"
    notes.write_bytes(b"an original")
    result = call("data", "prepare", inputs / "classes", "--out", notes)
    assert result.code == 2
    assert "exists in a folder that is read, and need not be a result of mien; choose a new name" in result.err
    assert notes.read_bytes() == b"an original"
    notes.unlink()


@pytest.mark.parametrize(
    ("option", "name"),
    [("--save", "face.png"), ("--save", "clip.mp4"), ("--csv", "face.png"), ("--parquet", "clip.mp4")],
)
def test_an_original_that_a_pattern_makes_the_output_is_not_replaced(
    option: str, name: str, call: Any, inputs: Path, tmp_path: Path
) -> None:
    """``analyze --csv *.jpg`` takes the first photo for the table, ``--save *.mp4`` the first clip for the result."""
    photo = inputs / "photos" / "face.png"
    original, other = (inputs / name, tmp_path / name) if name == "clip.mp4" else (photo, tmp_path / name)
    other.write_bytes(original.read_bytes())
    result = call("analyze", original, option, other, *QUICK)
    assert result.code == 1
    (line,) = errors(result)
    assert "exists already, and need not be a result of mien; choose a new name" in line
    assert other.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".mp4"])
def test_a_result_is_replaced_by_the_next_call(suffix: str, call: Any, inputs: Path, tmp_path: Path) -> None:
    source = inputs / ("clip.mp4" if suffix == ".mp4" else "photos/face.png")
    for _ in range(2):
        assert call("analyze", source, "--save", tmp_path / f"out{suffix}", *QUICK).code == 0


def test_pictures_of_reports_are_no_photos_of_the_next_call(call: Any, inputs: Path, tmp_path: Path) -> None:
    clip_file = tmp_path / "clip.mp4"
    clip_file.write_bytes((inputs / "clip.mp4").read_bytes())
    assert call("analyze", clip_file, "--report", tmp_path / "reports", *QUICK).code == 0
    assert (tmp_path / "reports" / "clip" / "timeline.png").is_file()
    assert call("analyze", tmp_path, "--csv", tmp_path / "rows.csv", *QUICK).code == 0
    assert {row.split(",")[0] for row in (tmp_path / "rows.csv").read_text().splitlines()[1:]} == {str(clip_file)}


def test_explanations_are_not_written_among_the_photos(call: Any, inputs: Path) -> None:
    before = contents(inputs)
    result = call("explain", inputs / "photos/face.png", "--out", inputs / "photos")
    assert result.code == 2
    assert "holds an input" in result.err
    assert contents(inputs) == before


def test_what_states_a_run_is_not_replaced_by_its_scores(call: Any, inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    result = call("evaluate", tmp_path, "--data", inputs / "a.parquet", "--json", tmp_path / "config.json")
    assert result.code == 2
    assert "exists in a folder that is read" in result.err
    assert (tmp_path / "config.json").read_text() == "{}"


def test_two_outputs_of_one_name_are_refused(call: Any, inputs: Path, tmp_path: Path) -> None:
    same = tmp_path / "out.csv"
    result = call("analyze", inputs / "photos", "--csv", same, "--parquet", tmp_path / "." / "out.csv")
    assert result.code == 2
    assert "--csv and --parquet name the same file" in result.err
    assert not same.exists()


def test_live_prints_one_thing_on_stdout(call: Any) -> None:
    result = call("live", "rtsp://localhost/none", "--json", "--csv", "-")
    assert result.code == 2
    assert "only one of --json and --csv - can go to stdout" in result.err
