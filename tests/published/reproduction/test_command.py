from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.reproduction_results import fabricated
from mien.cli import cli
from mien.datasets.prepared_file import read_prepared
from mien.published.reproduction.results import (
    write_result,
)
from mien.published.reproduction.rows import ROWS


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
