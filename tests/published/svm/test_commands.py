from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from mien.cli import cli
from mien.errors import MienError


def test_commands(data: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    out = str(tmp_path / "run")
    trained = run(cli, ["train", "svm-hog", "--data", str(data), "--out", out, "--seed", "3"], catch_exceptions=False)
    assert trained.stdout.strip() == out
    assert json.loads((Path(out) / "config.json").read_text())["seed"] == 3
    json_file = tmp_path / "scores.json"
    scored = run(cli, ["evaluate", out, "--data", str(data), "--json", str(json_file)], catch_exceptions=False)
    assert "svm-hog on fer2013, test" in scored.stdout
    assert json.loads(json_file.read_text())["results"]["emotion"]["n"] == 50
    assert run(cli, ["train", "svm-hog", "--data", str(data), "--epochs", "3"]).exit_code == 2
    assert run(cli, ["evaluate", out, "--data", str(data), "--flip"]).exit_code == 2
    assert "svm-landmarks-sliding" in run(cli, ["train", "--list"]).stdout
    refused = run(cli, ["train", "svm-landmarks", "--data", str(data), "--out", str(tmp_path / "new")])
    assert isinstance(refused.exception, MienError)
