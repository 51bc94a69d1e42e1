from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mien.cli import cli
from mien.datasets.prepared_file import read_prepared
from mien.published.reproduction.results import (
    RowResult,
    write_result,
)
from mien.published.reproduction.rows import ROWS, ReproductionRow


def scored(accuracy: float) -> dict[str, object]:
    labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    return {
        "n": 3589, "accuracy": accuracy, "macro_f1": 0.5, "labels": labels, "one_off": None,
        "recall": dict.fromkeys(labels, 0.25), "confusion": np.arange(49).reshape(7, 7).tolist(),
    }  # fmt: skip


def fabricated(row: ReproductionRow, accuracies: tuple[float, ...]) -> RowResult:
    names = ("fer2013", "fer2013 leak-free", "ferplus") if row.improves else ("validation", "test", "test leak-free")
    runs = tuple(
        {
            "seed": seed, "keep": row.keep, "epochs": 10, "kept_epoch": 9, "seconds_per_epoch": 12.3,
            "cpu_seconds_per_epoch": 10.1,
            "scores": {name: scored(accuracy + 0.01 * i) for i, name in enumerate(names)}, "precision": "float32",
            "processor": "A processor", "gpus": [], "threads": 1, "command": f"mien reproduce {row.name}",
            "commit": "abcdef1234567890", "earlier": [], "date": "2026-01-02", "data_sha256": "0", "packages": {},
        }
        for seed, accuracy in enumerate(accuracies)
    )  # fmt: skip
    return RowResult(row.name, {"trained": 1_234_567, "statistics": 8}, runs)


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
