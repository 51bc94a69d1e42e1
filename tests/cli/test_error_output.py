"""`mien --json-errors`: each error is one JSON object on stderr; without it, one line for people."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from helpers.clips import Pan, clip
from helpers.commands import CommandRun, runner
from mien.cli import cli
from mien.cli.error_output import ErrorOutput, error_output, wants_json, without_flag
from mien.errors import ImageError

Mien = Callable[..., CommandRun]


def errors(run: CommandRun) -> list[dict[str, Any]]:
    """Every line of stderr is a JSON object."""
    return [json.loads(line) for line in run.err.splitlines()]


def test_a_file_that_fails_is_one_object_and_the_others_are_done(mien: Mien, photos: Path) -> None:
    (photos / "bäd.jpg").write_bytes(b"this is not a picture")
    run = mien("analyze", photos, "--json", "--json-errors")
    assert run.code == 1
    assert len(run.out.splitlines()) == 2
    (error,) = errors(run)
    assert (error["code"], error["command"]) == ("image-unreadable", "analyze")
    assert error["reason"]
    assert "bäd.jpg" in error.get("path", error["reason"])
    assert run.err.isascii()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json-errors", "analyze", "absent.jpg"],
        ["analyze", "--json-errors", "absent.jpg"],
        ["analyze", "absent.jpg", "--json-errors"],
    ],
)
def test_the_option_is_accepted_anywhere(mien: Mien, arguments: list[str]) -> None:
    (error,) = errors(mien(*arguments))
    assert error["code"] == "file-missing"


def test_the_environment_variable(mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_JSON_ERRORS", "1")
    (error,) = errors(mien("analyze", "absent.jpg"))
    assert error["code"] == "file-missing"
    monkeypatch.setenv("MIEN_JSON_ERRORS", "0")
    assert mien("analyze", "absent.jpg").err.startswith("mien: ")
    monkeypatch.setenv("MIEN_JSON_ERRORS", "perhaps")
    assert "perhaps" in mien("analyze", "absent.jpg").err


def test_an_error_that_ends_the_command(mien: Mien, tmp_path: Path) -> None:
    run = mien("data", "clean", tmp_path / "x.parquet", "--out", tmp_path / "y.parquet", "--json-errors")
    assert run.code == 1
    (error,) = errors(run)
    assert error["command"] == "data clean"
    assert set(error) <= {"code", "reason", "path", "advice", "details", "command"}


@pytest.mark.parametrize(
    ("arguments", "command", "reason", "parameter"),
    [
        (["analyze", "x.jpg", "--nonsense"], "analyze", "--nonsense", None),
        (["analyze", "x.jpg", "--top", "many"], "analyze", "--top", "top"),
        (["analyze", "x.jpg", "--resume", "--report"], "analyze", "--report", None),
        (["nonsense"], None, "nonsense", None),
        (["data", "nonsense"], "data", "nonsense", None),
    ],
)
def test_a_wrong_call(
    mien: Mien, arguments: list[str], command: str | None, reason: str, parameter: str | None
) -> None:
    run = mien(*arguments, "--json-errors")
    assert run.code == 2
    (error,) = errors(run)
    assert error["code"] == "usage"
    assert error.get("command") == command
    assert reason in error["reason"]
    assert "--help" in error["advice"]
    assert error.get("details", {}).get("parameter") == parameter


def test_a_call_without_a_command_shows_the_overview_or_one_object(mien: Mien) -> None:
    assert "Commands:" in (lambda run: run.out + run.err)(mien())
    run = mien("--json-errors")
    if run.code:  # click before 8.2 prints the overview and is content
        (error,) = errors(run)
        assert error["reason"] == "no command is given"


def test_an_interruption(mien: Mien, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.results import row_writers

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(row_writers, "csv_values", stopped)
    run = mien("analyze", photos, "--csv", photos / "f.csv", "--json-errors")
    assert run.code == 130
    assert errors(run) == [
        {
            "code": "interrupted",
            "reason": "interrupted: 0 of 2 photos are analysed",
            "advice": "the same call with --resume continues the run",
            "command": "analyze",
        }
    ]
    monkeypatch.undo()
    assert mien("analyze", photos, "--csv", photos / "f.csv", "--resume").code == 0


def test_an_interrupted_video(mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.cli.videos import ProgressDisplay

    def stopped(progress: ProgressDisplay, *_: object) -> None:
        progress.position = " at 0:00 of a.mp4"
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressDisplay, "update", stopped)
    clip(tmp_path / "a.mp4", size=(160, 120), frames=10, draw=Pan.astronaut((160, 120)))
    arguments = ["analyze", tmp_path / "a.mp4", "--models", "none", "--report", tmp_path / "report"]
    run = mien(*arguments, "--json-errors")
    assert run.code == 130
    error = next(json.loads(line) for line in run.err.splitlines() if line.startswith("{"))
    assert error["code"] == "interrupted"
    assert "at 0:00 of a.mp4" in error["reason"]
    assert "--resume" in error["advice"]


def test_inputs_that_a_batch_could_not_analyse(mien: Mien, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xffnothing")
    options = ["--detector", "haar", "--models", "none", "--workers", "1"]
    run = mien("batch", photos, tmp_path / "out", *options, "--json-errors")
    assert run.code == 1
    error = json.loads(run.err.splitlines()[-1])
    assert (error["code"], error["details"]) == ("inputs-failed", {"errors": 1, "inputs": 3})
    assert error["path"] == str(tmp_path / "out" / "inputs")


def test_without_the_option_an_error_is_one_line_for_people(mien: Mien) -> None:
    run = mien("analyze", "absent.jpg")
    (line,) = run.err.splitlines()
    assert line.startswith("mien: absent.jpg: no such file")


def test_the_option_of_the_group() -> None:
    """Where the command is called from Python."""
    result = runner().invoke(cli, ["--json-errors", "analyze", "absent.jpg"])
    assert json.loads(result.stderr)["code"] == "file-missing"


def test_what_follows_two_dashes_is_no_option() -> None:
    arguments = ["analyze", "--", "--json-errors"]
    assert not wants_json(arguments, {})
    assert without_flag(arguments) == arguments
    assert without_flag(["a", "--json-errors", "--", "--json-errors"]) == ["a", "--", "--json-errors"]


def test_fields_that_are_not_utf8_or_control_a_terminal_are_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    error = ImageError("bad\x1b[2J", path="a\udcff.jpg", details={"name": "\udcff"})
    ErrorOutput(as_json=True).print(error)
    line = capsys.readouterr().err
    assert line.isascii()
    assert json.loads(line)["path"] == "a\\udcff.jpg"


def test_errors_of_click_that_are_no_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    ErrorOutput(as_json=True).print_click_error(click.FileError("x", "cannot be opened"))
    assert json.loads(capsys.readouterr().err)["code"] == "error"


def test_lines_for_people_where_no_command_runs() -> None:
    assert error_output() == ErrorOutput()


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["analize", "x.jpg"], "No such command 'analize'. Did you mean 'analyze'"),
        (["data", "prepair", "x"], "Did you mean 'prepare'?"),
        (["analyze", "x.jpg", "--detecter", "mien"], "'--detector'"),
        (["analyze", "x.jpg", "--detector", "mtcn"], "Did you mean 'mtcnn'?"),
        (["explain", "x.jpg", "--out", "maps", "--method", "grad-cem"], "Did you mean 'grad-cam'?"),
        (["data", "prepare", "x", "--out", "y", "--kind", "folder"], "Did you mean 'folders'?"),
        (["models", "emotoin"], "did you mean 'emotion'"),
        (["reproduce", "smal-cnn", "--data", "x.parquet"], "did you mean 'small-cnn'"),
    ],
)
def test_a_misspelt_name_gets_the_nearest(arguments: list[str], near: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mien", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert near in done.stderr


def test_a_library_that_finds_no_temporary_folder_is_one_line(mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib refuses to be imported, torch fails in words of its own."""

    def refuse() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    def command() -> None:
        raise OSError("Matplotlib requires access to a writable cache directory")

    monkeypatch.setattr("mien.cli.LazyGroup.get_command", lambda *_: click.Command("models", callback=command))
    with pytest.raises(OSError, match="Matplotlib"):
        mien("models")
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.gettempdir", refuse)
        run = mien("models")
    assert run.code == 1
    assert run.err == ("mien: no temporary folder can be written to; make room, or set TMPDIR to a folder with some\n")


def test_libraries_make_no_remarks_about_places_that_cannot_be_written(
    mien: Mien, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def command() -> None:
        logging.getLogger("matplotlib").warning("Matplotlib created a temporary cache directory")
        logging.getLogger("matplotlib").error("an error of it")

    monkeypatch.setattr("mien.cli.LazyGroup.get_command", lambda *_: click.Command("models", callback=command))
    with warnings.catch_warnings():
        run = mien("models")
    assert (run.code, run.err) == (0, "")
    assert caplog.messages == ["an error of it"]


def test_joblib_takes_no_semaphores_in_processes_that_a_command_starts(tmp_path: Path) -> None:
    code = (
        "import _multiprocessing, subprocess, sys\n"
        "if len(sys.argv) == 1:\n"
        "    import click, mien.cli as cli\n"
        "    call = [sys.executable, sys.argv[0], 'started']\n"
        "    command = click.Command('models', callback=lambda: sys.exit(subprocess.run(call).returncode))\n"
        "    cli.LazyGroup.get_command = lambda *_: command\n"
        "    sys.argv.append('models')\n"
        "    cli.main()\n"
        "def refused(*_, **__):\n"
        "    raise OSError(30, 'Read-only file system')\n"
        "_multiprocessing.SemLock = refused\n"
        "import joblib\n"
        "assert joblib.Parallel(2)(joblib.delayed(abs)(i) for i in (-1, 2)) == [1, 2]\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
