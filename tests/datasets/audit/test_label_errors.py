from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from helpers.audits import N, changed, finding_rows, label_model
from helpers.datasets import made
from helpers.textures import textures
from mien.datasets.audit import LabelModel, audit_dataset
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import InputError, MissingExtraError
from mien.labels import FER2013


def test_flipped_labels_are_suspected_by_cross_validation(clean: Dataset) -> None:
    flipped = {i: (clean.emotion[i] + 3) % 7 for i in (10, 33, 71, 104)}
    data = changed(clean, emotion=flipped)
    found = {row for (row,) in finding_rows(data, "labels")}
    assert set(flipped) <= found
    assert len(found) <= len(flipped) + 3
    report = audit_dataset(data, ["labels"])["labels"]
    best = report.findings[0]
    assert best.index[0] in flipped
    assert best.facts["suggestion"] == FER2013.names[clean.emotion[best.index[0]]]
    # the raters, who were not asked, say the same
    assert report.figures["raters"]["disagree_with_suspected"] >= 4 / 7
    assert report.figures["raters"]["disagree_with_others"] == 0


def test_predictions_for_some_images_check_those(clean: Dataset) -> None:
    model = label_model(clean, {11: 0, 12: 0})
    data = replace(clean, votes=None)
    assert finding_rows(data, "labels", label_model=model) == [[11], [12]]
    some = np.arange(N) != 12
    assert finding_rows(data, "labels", label_model=replace(model, predicted=some)) == [[11]]
    report = audit_dataset(data, ["labels"], label_model=replace(model, predicted=some, caveat="Careful."))["labels"]
    assert report.figures["predicted"] == N - 1
    assert "Careful." in report.summary


def test_columns_of_the_label_model_are_matched_by_name(clean: Dataset) -> None:
    model = label_model(clean, {11: 0})
    order = [3, 1, 0, 2, 6, 5, 4]
    other = replace(
        model,
        labels=("contempt", *(FER2013.names[i] for i in order)),
        probabilities=np.concatenate([np.zeros((N, 1)), model.probabilities[:, order]], axis=1),
    )
    assert finding_rows(clean, "labels", label_model=other) == [[11]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": (*FER2013.names[:6], "calm")},
            "has no neutral: its labels are angry.*the dataset holds.*--probabilities",
        ),
        ({"predicted": np.zeros(N, bool)}, "has no prediction for any image"),
        ({"predicted": np.arange(N) % 7 == 0}, "all images with a prediction have the label angry"),
        ({"probabilities": np.full((N, 7), np.nan)}, "not all numbers are probabilities"),
        ({"probabilities": np.zeros((N, 7))}, "not all numbers are probabilities"),
        ({"probabilities": np.full((N, 7), -1.0)}, "not all numbers are probabilities"),
    ],
)
def test_a_label_model_that_does_not_fit_stops_one_check(change: dict[str, Any], message: str, clean: Dataset) -> None:
    report = audit_dataset(clean, ["labels", "constant"], label_model=replace(label_model(clean), **change))
    with pytest.raises(InputError, match=message):
        report["labels"]
    assert report["constant"].findings == ()


def test_neighbouring_ages_are_no_errors() -> None:
    age = (np.arange(N) % 7).astype(np.int8)
    data = replace(made(N), emotion=None, info=DatasetInfo("faces"), age=age, images=textures(age))
    probabilities = np.full((N, 7), 0.01)
    probabilities[np.arange(N), age] = 0.94
    for row, other in ((10, 4), (20, 2)):  # labels 3 and 6
        probabilities[row, [age[row], other]] = 0.01, 0.94
    model = LabelModel(
        "a model", ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59"), probabilities, np.ones(N, bool)
    )
    assert finding_rows(data, "labels", label_model=model) == [[20]]


def test_few_images_are_too_few_to_check_labels() -> None:
    for n in (1, 2, 8):
        report = audit_dataset(made(n, side=48))
        reasons = {one.check: one.reason for one in report.results if one.reason}
        assert set(reasons) == {"labels", "faceless", "agreement"}
        assert "too few images" in reasons["labels"]


def test_without_cleanlab(clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    report = audit_dataset(clean, ["labels", "constant"])
    with pytest.raises(InputError, match=r"cleanlab.*mien\[audit\]"):
        report["labels"]
    assert issubclass(MissingExtraError, ImportError)
