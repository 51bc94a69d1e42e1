from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from helpers.pictures import astronaut
from helpers.reproduction_results import fabricated
from helpers.waiting import wait_until
from mien.cli import cli
from mien.datasets.prepared_file import read_prepared
from mien.errors import InputError
from mien.file_lock import lock_folder
from mien.published.reproduction.published_results import ROWS
from mien.published.reproduction.results import (
    write_result,
)


def test_the_command_lists_rows_and_refuses_wrong_calls(tmp_path: Path) -> None:
    runner = CliRunner()
    write_result(tmp_path, fabricated(ROWS["stack-baseline"], (0.4,)))
    listed = runner.invoke(cli, ["reproduce", "--list", "--results", str(tmp_path), "stack-baseline", "age-cnn"])
    assert listed.exit_code == 0
    assert "40.0 %" in listed.output
    assert "UTKFace" in listed.output
    assert runner.invoke(cli, ["reproduce"]).exit_code == 2


@pytest.mark.usefixtures("small")
def test_the_command_runs_a_row(data: Path, tmp_path: Path) -> None:
    call = ["reproduce", "attention-parallel", "--data", str(data), "--out", str(tmp_path / "o"), "--threads", "1"]
    done = CliRunner().invoke(cli, [*call, "--results", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "r" / "attention-parallel.json").read_text())
    assert document["row"] == "attention-parallel"
    assert document["runs"][0]["data_sha256"]
    assert len(read_prepared(data)) == 70


def test_ctrl_c_reports_how_the_run_continues(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.published.reproduction.run_queue.train", interrupted)
    call = ["reproduce", "attention-parallel", "--data", str(data), "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(cli, call)
    assert done.exit_code == 130
    last = done.stderr.splitlines()[-1]
    assert last == f"mien: {tmp_path / 'o'}: interrupted; the same call continues the run"


@pytest.mark.usefixtures("small", "data")
def test_the_lines_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    block = page.split("## Published networks")[1].split("```sh\n")[1].split("```")[0]
    calls = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [call[:2] for call in calls] == [["mien", name] for name in ("reproduce", "reproduce", "export", "analyze")]
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut()).save("photo.jpg")
    for _, *call in calls:
        done = CliRunner().invoke(cli, call, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert "photo.jpg" in done.output
    assert Path("attention.onnx").is_file()


def test_a_queue_in_the_background_writes_its_log_and_only_one_runs(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = [
        sys.executable,
        "-m",
        "mien",
        "reproduce",
        "age-cnn",
        "--data",
        str(data),
        "--out",
        str(out),
        "--background",
    ]
    done = subprocess.run(call, capture_output=True, text=True, timeout=280, check=True)
    log = Path(done.stdout.strip())
    assert log == out / "reproduce.log"
    wait_until(lambda: "--utkface-data" in log.read_text(), 250)
    assert log.read_text().startswith("age-cnn: left out, give its data with --utkface-data")

    def lock() -> Any:
        with contextlib.suppress(InputError):
            return lock_folder(out)

    with wait_until(lock):  # the process that was started ends on its own
        refused = CliRunner().invoke(cli, ["reproduce", "age-cnn", "--data", str(data), "--out", str(out)])
    assert refused.exit_code == 1
    assert "another run is writing to it" in str(refused.exception)
