from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from helpers.datasets import textured, with_images, with_votes
from helpers.pictures import astronaut
from mien.cli import cli
from mien.datasets.cleaning import CLEANING_RULES, default_rules
from mien.datasets.prepared_file import read_prepared, write_prepared


def test_command(tmp_path: Path) -> None:
    data = with_votes(textured(140))
    data = with_images(data, r3=np.zeros((48, 48, 1), np.uint8), r10=data.images[4], r20=data.images[13])
    source = write_prepared(data, tmp_path / "a.parquet")
    out, kept, report = tmp_path / "clean.parquet", tmp_path / "kept.csv", tmp_path / "clean.json"
    arguments = ["data", "clean", str(source), "--out", str(out), "--kept", str(kept), "--json", str(report)]
    more = ["--expressions", "happy,sad,angry,neutral", "--limit", "neutral=12", "--split", "3,1,1"]
    result = CliRunner().invoke(cli, [*arguments, *more], catch_exceptions=False)
    assert result.exit_code == 0
    assert "duplicate" in result.stdout
    clean_data = read_prepared(out)
    document = json.loads(report.read_text())
    assert [rule["rule"] for rule in document["rules"]] == list(default_rules(data))
    # of 20 images an emotion: a black "happy", a "happy" with a "sad" copy, a copy of a "neutral"; then 12 "neutral"
    assert document["result"]["total"] == len(clean_data) == 4 * 20 - 1 - 2 - (20 - 12)
    assert {rule["rule"]: rule["in_sequence"]["total"] for rule in document["rules"]} == {
        "constant": 1, "not-a-face": 0, "blur": 0, "ambiguous": 0, "contradictory": 2, "duplicate": 1,
    }  # fmt: skip
    assert document["result"]["train"]["neutral"] == round(12 * 3 / 5)
    assert {name.partition(" ")[0] for name in document["notes"]} == {"expressions", "cleaned", "at", "new"}
    with kept.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["row"]) for row in rows] == clean_data.row.tolist()
    assert [row["split"] for row in rows] == clean_data.split.tolist()
    assert [row["split_before"] for row in rows] == data.split[clean_data.row].tolist()
    assert {row["emotion"] for row in rows} == {"happy", "sad", "angry", "neutral"}
    plain = CliRunner().invoke(cli, ["data", "clean", str(source), "--out", str(out), "--rules", "blur", "--blur", "1"])
    assert plain.exit_code == 0
    assert len(read_prepared(out)) == 139


def test_a_detector_looks_for_faces(tmp_path: Path) -> None:
    gray = cv2.cvtColor(astronaut()[55:180, 165:290], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)[..., None]
    data = with_images(textured(10), r2=face, r7=face)
    source, out = write_prepared(data, tmp_path / "a.parquet"), tmp_path / "b.parquet"
    arguments = ["data", "clean", str(source), "--out", str(out), "--rules", "constant", "--detector", "mtcnn"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert read_prepared(out).row.tolist() == [2, 7]


@pytest.mark.parametrize(
    "option", ["--limit neutral", "--limit neutral=x", "--split 1,2", "--split a,b,c", "--detector x"]
)
def test_bad_calls(tmp_path: Path, option: str) -> None:
    result = CliRunner().invoke(
        cli, ["data", "clean", str(tmp_path / "a"), "--out", str(tmp_path / "b"), *option.split()]
    )
    assert result.exit_code == 2


def test_the_command_knows_every_rule() -> None:
    from mien.cli import clean as command

    assert tuple(CLEANING_RULES) == command.RULES
    help_text = CliRunner().invoke(cli, ["data", "clean", "--help"]).stdout
    for name, rule in CLEANING_RULES.items():
        if name in ("constant", "not-a-face", "blur", "ambiguous", "disagreement"):
            assert f"default: {rule.threshold:g}]" in " ".join(help_text.split(f"--{name} ")[1].split()[:40])
