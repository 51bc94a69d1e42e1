"""The table of figures and the layouts that follow from it: console, page and documentation show the same cells."""

from __future__ import annotations

import dataclasses
import re
from html import unescape
from typing import Any

import numpy as np
import pytest

from mien.cli.evaluation_tables import print_table
from mien.draw.pages import render
from mien.evaluation.figures import BY_KEY, FIGURES, OF_RESULTS, reported
from mien.evaluation.metrics import Scores
from mien.evaluation.predictions import HeadPredictions, full_protocol, is_subset, miss_rates, subset_name
from mien.evaluation.tables import (
    FigureTable,
    TableCell,
    TableRow,
    as_text,
    calibration_table,
    class_table,
    comparison_table,
    confusion_table,
    detection_line,
    direct_lines,
    distribution_table,
    figure_cell,
    group_table,
    miss_table,
    p_value,
    quantisation_table,
    results_table,
    temperature_line,
    worst_lines,
)

SCORES: dict[str, Any] = {
    "n": 1200,
    "accuracy": 0.7528,
    "one_off": None,
    "top2": 0.9,
    "macro_f1": 0.7,
    "balanced_accuracy": 0.71,
    "log_loss": 0.5,
    "ece": 0.0123,
    "kl": None,
    "recall": {"happy": 0.5, "sad": None},
    "precision": {"happy": 0.25, "sad": None},
    "confusion": [[600, 600], [0, 0]],
    "labels": ["happy", "sad"],
    "intervals": {"accuracy": [0.73, 0.77], "ece": [0.01, 0.02], "recall": {"happy": [0.4, 0.6], "sad": None}},
}


def texts(table: FigureTable) -> list[list[str]]:
    return [[as_text(cell, "{}*".format) for cell in row.cells] for row in table.rows]


def test_every_figure_of_the_scores_has_a_row_in_the_table_of_figures() -> None:
    part = HeadPredictions("p", ("a", "b"), np.zeros(2, int), np.array([0, -1]), None, np.arange(2))
    fields = {field.name for field in dataclasses.fields(Scores)} | set(miss_rates(part))
    counts_and_labels = {"n", "confusion", "labels", "faces", "missed"}
    assert {figure.key for figure in FIGURES} - {"aurc"} == fields - counts_and_labels
    assert len(BY_KEY) == len(FIGURES)


def test_figures_are_written_with_their_unit_and_digits() -> None:
    accuracy, ece = BY_KEY["accuracy"], BY_KEY["ece"]
    assert accuracy.value(0.7528) == "75.3 %"
    assert accuracy.interval((0.73, 0.77)) == "73.0–77.0"
    assert ece.value(0.0123) == "0.012"
    assert ece.value(None) == "–"
    assert ece.interval(None) == ""


def test_only_figures_that_a_row_has_become_columns() -> None:
    keys = [figure.key for figure in reported([SCORES])]
    assert keys == ["accuracy", "top2", "macro_f1", "balanced_accuracy", "log_loss", "ece"]
    assert set(reported([dict.fromkeys((figure.key for figure in OF_RESULTS), 0.0)])) == set(OF_RESULTS)
    assert reported([]) == ()


def test_results() -> None:
    table = results_table({"ferplus": SCORES, "ferplus leak-free": SCORES | {"accuracy": 1.0, "intervals": {}}}, "t")
    assert table.header[:4] == ("protocol", "images", "accuracy", "top-2")
    assert texts(table)[0] == ["ferplus", "1,200", "75.3 % (73.0–77.0)", "90.0 %", "0.700", "71.0 %", "0.500",
                               "0.012 (0.010–0.020)"]  # fmt: skip
    assert texts(table)[1][:3] == ["ferplus leak-free", "1,200", "100.0 %"]
    short = results_table({"ferplus": SCORES}, names={"ferplus": "FER+"}, figures=("kl", "accuracy"))
    assert short.header == ("protocol", "images", "KL to raters", "accuracy")
    assert texts(short) == [["FER+", "1,200", "–", "75.3 % (73.0–77.0)"]]


def test_classes_without_an_image_are_marked_as_empty() -> None:
    assert texts(class_table(SCORES)) == [
        ["happy", "1,200", "50.0 % (40.0–60.0)", "25.0 %"],
        ["sad", "no image", "–", "–"],
    ]
    assert [row.empty for row in class_table(SCORES).rows] == [False, True]
    assert texts(confusion_table(SCORES))[0] == ["happy", "600", "600", "50.0 % (40.0–60.0)", "25.0 %"]


def test_groups() -> None:
    groups = {
        "x": {"n": 40, "accuracy": 0.5, "one_off": None, "ece": 0.1, "intervals": {"accuracy": (0.4, 0.6)}},
        "y": {"n": 0, "accuracy": None, "one_off": None, "ece": None},
    }
    table = group_table(groups, "race")
    assert table.header == ("race", "images", "accuracy", "ECE")
    assert texts(table) == [["x", "40", "50.0 % (40.0–60.0)", "0.100"], ["y", "no image", "–", "–"]]
    missed = miss_table(
        {"x": {"n": 8, "missed": 4, "miss_rate": 0.5}, "y": {"n": 0, "missed": 0, "miss_rate": None}}, "race"
    )
    assert texts(missed) == [["x", "8", "4", "50.0 %"], ["y", "0", "0", "–"]]
    worst = {"ece": {"group": "x", "value": 0.1, "interval": (0.05, 0.15), "best_group": "y", "best": 0.01}}
    assert worst_lines(worst) == ["ECE: worst for x, 0.100 (0.050–0.150); best for y, 0.010."]


def test_differences_between_groups_are_marked_where_they_are_more_than_chance() -> None:
    groups = {
        "x": {"n": 5, "mean": {"a": 0.4, "b": 0.6}, "difference": {"a": 0.021, "b": -0.021},
              "difference_intervals": {"a": (0.01, 0.03), "b": (-0.05, 0.01)}},
        "y": {"n": 0, "mean": None, "difference": None},
        "z": {"n": 5, "mean": {"a": 0.5, "b": 0.5}, "difference": None},
    }  # fmt: skip
    table = distribution_table(groups, "race")
    assert texts(table) == [
        ["x", "5", "40.0 (+2.1*)", "60.0 (-2.1)"],
        ["y", "no image", "", ""],
        ["z", "5", "50.0", "50.0"],
    ]
    assert table.rows[0].cells[2].note_interval == "+1.0 to +3.0"


def test_comparisons_and_what_models_cost() -> None:
    one = {"protocol": "p", "a": "m", "b": "n", "n": 3000, "accuracy_a": 0.8, "accuracy_b": 0.81, "difference": 0.01,
           "interval": (-0.001, 0.02), "only_a": 10, "only_b": 1234, "p": 0.00001, "p_corrected": 0.02}  # fmt: skip
    assert texts(comparison_table([one])) == [
        ["p", "m", "n", "3,000", "80.0 %", "81.0 %", "+1.00 (-0.10 to +2.00)", "10", "1,234", "< 0.0001", "0.0200"]
    ]
    assert comparison_table([]).rows == ()
    assert p_value(1.0) == "1.0000"
    pair = {"n": 10, "accuracy": 0.5, "log_loss": 1.0, "ece": 0.1, "kl": None}
    calibrated = calibration_table({"test": {"p": {"before": pair, "after": pair | {"log_loss": 0.5}}}})
    assert texts(calibrated) == [["test", "p", "10", "50.0 %", "1.0000 → 0.5000", "0.1000 → 0.1000", "–"]]
    losses = {"test": {"p": {"n": 10, "before": 0.5, "after": 0.4, "loss": 10.0}}}
    assert texts(quantisation_table(losses)) == [["test", "p", "10", "50.0 % → 40.0 %", "+10.00"]]
    fit = {"temperature": 0.5, "n": 10, "protocol": "p", "change": -0.1, "interval": (-0.2, -0.05)}
    assert temperature_line(fit).endswith("0.5000 on 10 images (p); log loss -0.1000 (-0.2000 to -0.0500)")


def test_detection_in_one_line() -> None:
    found = {"missed": 2, "faces": 12, "miss_rate": 1 / 6, "interval": None, "spurious": 3, "direct": {"p": 0.5}}
    assert detection_line(found) == "2 of 12 faces were not found: 16.7 %; 3 detections where there is no face."
    assert "by mtcnn: 16.7 % (10.0–20.0)" in detection_line(found | {"detector": "mtcnn", "interval": (0.1, 0.2)})
    assert direct_lines(found) == ["p: accuracy 50.0 % on the same found faces' own pixels."]
    assert direct_lines({}) == []


def test_console_and_page_show_the_same_cells(capsys: pytest.CaptureFixture[str]) -> None:
    table = FigureTable(
        "t",
        ("a", "b"),
        (
            TableRow((TableCell("[x]<"), TableCell("1.0", "+2.1", "+1 to +3", marked=True))),
            TableRow((TableCell("y"), TableCell("–")), True),
        ),
    )
    print_table(table)
    console = capsys.readouterr().out
    assert "1.0 (+2.1*)" in console
    assert "[x]<" in console
    print_table(table, notes=False)
    assert "+2.1" not in capsys.readouterr().out
    section = {"title": "", "lines": (), "worst": (), "pictures": (), "alt": "", "tables": [table]}
    model = {"name": "m", "flip": False, "notes": (), "sections": [section]}
    page = render("evaluation/scoring/report_page.html", title="t", comparison=None, models=[model], figures=(), few=30)
    cells = [unescape(re.sub("<.*?>", " ", cell)).split() for cell in re.findall(r"<t[dh][ >].*?</t[dh]>", page)]
    assert [" ".join(cell) for cell in cells] == ["a", "b", "[x]<", "1.0 +2.1 (+1 to +3)", "y", "–"]
    assert 'class="n marked"' in page


def test_names_of_subsets() -> None:
    assert subset_name("ferplus", "leak-free") == "ferplus leak-free"
    for name in ("ferplus leak-free", "ferplus found"):
        assert full_protocol(name) == "ferplus"
        assert is_subset(name)
    assert not is_subset("ferplus on emotion")


def test_a_cell_without_its_figure() -> None:
    assert figure_cell({}, BY_KEY["accuracy"]) == TableCell("–")
    assert figure_cell({"accuracy": None, "intervals": {"accuracy": (0, 1)}}, BY_KEY["accuracy"]) == TableCell("–")
