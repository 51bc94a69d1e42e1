"""`mien train` on the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.commands import runner
from helpers.labelled_pictures import pictures
from mien.cli import cli
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError


def test_the_list_has_times_and_scores() -> None:
    result = runner().invoke(cli, ["train", "--list"], catch_exceptions=False)
    assert result.exit_code == 0
    line = next(line for line in result.stdout.splitlines() if line.startswith("emotion-cpu "))
    assert " h " in line
    assert "2 processor cores" in line
    assert " % fer2013 validation" in line


def test_a_run_ends_with_its_score_and_the_next_command(tmp_path: Path) -> None:
    data = write_prepared(pictures(60), tmp_path / "my data.parquet")
    command = [sys.executable, "-m", "mien", "train", "stack-baseline", "--data", str(data), "--out", "run",
               "--epochs", "1", "--batch-size", "16", "--threads", "1"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "run\n"
    lines = done.stderr.splitlines()
    assert lines[0].startswith("stack-baseline: 1 epoch of ")
    assert lines[-2].startswith("best epoch 1 of 1: validation accuracy ")
    assert lines[-1] == f"next: mien evaluate run --data '{data}'"
    assert "Warning" not in done.stderr


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_can_be_resumed(number: signal.Signals, code: int, tmp_path: Path) -> None:
    data = write_prepared(pictures(60), tmp_path / "d.parquet")
    command = [sys.executable, "-m", "mien", "train", "stack-baseline", "--data", str(data), "--out", "run",
               "--epochs", "2000", "--batch-size", "16", "--threads", "1", "--no-progress"]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        metrics = tmp_path / "run" / "metrics.csv"
        while not metrics.is_file() or len(metrics.read_text().splitlines()) < 2:
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(number)
        errors = child.communicate(timeout=120)[1]
    assert child.returncode == code, errors
    assert re.fullmatch(
        r"mien: run: interrupted after epoch \d+ of 2000; the same call with --resume continues the run\n", errors
    ), errors


def test_data_that_does_not_fit_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    data = write_prepared(pictures(20), tmp_path / "d.parquet")
    with pytest.raises(DataError, match="recipes that fit it"):
        runner().invoke(cli, ["train", "age-cpu", "--data", str(data), "--out", str(tmp_path / "run")],
                        catch_exceptions=False)  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_data_without_validation_images_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    data = pictures(20)
    data = write_prepared(data[data.split != "validation"], tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"no 'validation' images, only test, train; .*--validation 0.1"):
        runner().invoke(cli, ["train", "stack-lean", "--data", str(data), "--out", str(tmp_path / "run")],
                        catch_exceptions=False)  # fmt: skip
    assert not (tmp_path / "run").exists()
