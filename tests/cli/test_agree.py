"""``mien agree``: figures, stretches, files; one line for what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.commands import CommandRun
from helpers.videos import made_frames, report_of, rows_of
from mien.exchange.coding import Coding, Interval, Tier, report_coding
from mien.exchange.formats import read_coding, write_coding

Mien = Callable[..., CommandRun]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The folder of a report."""
    made = report_of(rows_of(list(made_frames(200, gap=(300, 300)))))
    made.save(tmp_path / "report" / "summary.json")
    coding = report_coding(made)
    corrected = [
        Tier(t.subject, t.head, tuple(Interval(i.start, i.end, "happy" if i.label == "surprise" else i.label)
                                      for i in t.intervals))
        for t in coding.tiers if t.head == "emotion"
    ]  # fmt: skip
    write_coding(Coding(None, tuple(corrected), coding.start, coding.end, coding.labels), tmp_path / "human.boris")
    return tmp_path / "report"


def test_a_corrected_coding_against_its_report(mien: Mien, report: Path, tmp_path: Path) -> None:
    run = mien(
        "agree", tmp_path / "human.boris", report, "--json", tmp_path / "a.json",
        "--differences", tmp_path / "d.eaf", "--resamples", 200,
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    assert "face 1 emotion ↔ face 1 emotion" in run.out
    assert "Cohen's kappa" in run.out
    assert "weighted kappa" not in run.out
    figures = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    labels = figures["labels"]
    row, column = labels.index("happy"), labels.index("surprise")
    matrix = figures["confusion_seconds"]
    wrong = sum(value for i, r in enumerate(matrix) for j, value in enumerate(r) if i != j)
    assert matrix[row][column] == pytest.approx(wrong, abs=0.05)
    assert matrix[row][column] > 0.5
    assert 0 < figures["kappa"]["low"] <= figures["kappa"]["value"] <= figures["kappa"]["high"] < 1
    assert figures["differences"][0]["first"] == "happy"
    assert figures["differences"][0]["second"] == "surprise"
    assert len(read_coding(tmp_path / "d.eaf").tiers) == 6


def test_two_people_with_an_order_of_labels(mien: Mien, tmp_path: Path) -> None:
    for name, rows in (("anna", "0,2,low\n2,5,high\n"), ("ben", "0,3,low\n3,5,high\n")):
        (tmp_path / f"{name}.csv").write_text(f"start,end,label\n{rows}")
    run = mien("agree", tmp_path / "anna.csv", tmp_path / "ben.csv", "--order", "low,high", "--most", 0)
    assert run.code == 0
    assert "weighted kappa, linear" in run.out
    assert "80.0 % of 5.0 s" in run.out
    assert "intervals from 1 block are too narrow" in run.out
    assert "longest differences" not in run.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.eaf", "human.boris"], "no such file"),
        (["human.boris", "human.boris", "--pair", "x=face 1"], "no tier 'x' in the first coding"),
        (["human.boris", "other.csv"], "the two codings have no tier in common"),
        (["human.boris", "human.boris", "--rename", "hapy=joy"], "no label 'hapy' to rename; did you mean 'happy'"),
        (["human.boris", "human.boris", "--order", "happy"], "--order leaves out 'sad'"),
        (["human.boris", "human.boris", "--observation", "two"], "no observation 'two'"),
        (["human.boris", "human.boris", "--head", "mood"], "no head 'mood' in the first coding; there are emotion"),
        (["other.csv", "other.csv", "--observation", "two"], "neither file holds observations"),
        (["report", "report", "--head", "age"], "compare with the file of --export eaf"),
        (["empty", "human.boris"], "no report in it; give the folder that --report wrote"),
    ],
)
def test_one_line_for_what_cannot_be_compared(
    mien: Mien, report: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "other.csv").write_text("start,end,label,subject\n0,1,a,anna\n")
    (tmp_path / "empty").mkdir()
    run = mien("agree", *(tmp_path / a if "." in a or a in ("report", "empty") else a for a in arguments))
    assert run.code == 1
    assert message in run.err
    assert run.err.count("\n") == 1


def test_inputs_are_never_overwritten(mien: Mien, report: Path, tmp_path: Path) -> None:
    human = (tmp_path / "human.boris").read_bytes()
    run = mien("agree", tmp_path / "human.boris", report, "--differences", tmp_path / "human.boris")
    assert run.code == 2
    assert (tmp_path / "human.boris").read_bytes() == human
    assert mien("agree", tmp_path / "human.boris", report, "--pair", "ab").code == 2


def test_what_is_not_compared_and_what_overlaps_is_noted(mien: Mien, tmp_path: Path) -> None:
    header = "subject,label,start,end\n"
    (tmp_path / "a.csv").write_text(f"{header}anna,happy,0,4\nanna,sad,1,2\nmother,sad,0,3\n")
    (tmp_path / "b.csv").write_text(f"{header}anna,happy,0,4\nben,sad,0,3\n")
    run = mien("agree", tmp_path / "a.csv", tmp_path / "b.csv")
    assert run.code == 0
    assert run.err.splitlines() == [
        "note: not compared, for it has no counterpart: 'mother' of the first coding (--pair 'A=B')",
        "note: labels of 'anna' of the first coding overlap; the one that began last counts there",
        "note: not compared, for it has no counterpart: 'ben' of the second coding (--pair 'A=B')",
    ]
    twice = mien("agree", tmp_path / "a.csv", tmp_path / "b.csv", "--pair", "anna=anna", "--pair", "anna=ben")
    assert twice.code == 2
    assert "'anna' is given twice: 'anna' and 'ben'" in twice.err


def test_an_observation_may_be_in_either_file(mien: Mien, tmp_path: Path) -> None:
    header = "observation,subject,label,start,end\n"
    (tmp_path / "one.csv").write_text(f"{header}x,anna,happy,0,4\n")
    (tmp_path / "two.csv").write_text(f"{header}y,anna,sad,0,4\nz,anna,happy,0,4\n")
    for first, second in (("one", "two"), ("two", "one"), ("two", "two")):
        run = mien("agree", tmp_path / f"{first}.csv", tmp_path / f"{second}.csv", "--observation", "z")
        assert (run.code, "100.0 % of 4.0 s" in run.out) == (0, True), run.err
