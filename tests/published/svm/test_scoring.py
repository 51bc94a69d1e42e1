from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers.svm_data import CODES, RECIPE, clusters
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.evaluation.scoring.evaluate import score_predictions
from mien.published.svm.scoring import evaluate_svm, predict_svm
from mien.published.svm.training import train_svm


def test_images_that_are_in_training_too_are_scored_separately(tmp_path: Path) -> None:
    base = clusters()
    images = base.images.copy()
    rows = np.flatnonzero((base.split == "test") & (base.emotion == 3))[:3]
    images[rows] = images[np.flatnonzero(base.split == "train")[1]]
    data = write_prepared(replace(base, images=images), tmp_path / "a.parquet")
    scores = evaluate_svm(train_svm(RECIPE, data, tmp_path / "run"), read_prepared(data))["results"]
    assert scores["emotion leak-free"]["n"] <= scores["emotion"]["n"] - 3


def test_predictions_are_matched_to_images_by_position(data: Path, tmp_path: Path) -> None:
    prepared = read_prepared(data)
    given = predict_svm(train_svm(RECIPE, data, tmp_path / "run"), prepared, slices=["emotion"])
    (one,) = given.by_protocol
    assert prepared.emotion is not None
    emotion = prepared.emotion[prepared.split == "test"]
    assert [CODES[one.labels[place]] for place in one.truth] == emotion[one.rows].tolist()
    document = score_predictions(given, samples=50)
    assert document["groups"]["emotion"]["emotion"]["disgust"]["n"] == 0
    assert document["details"] == {}
    assert "ece" not in document["results"]["emotion"]["intervals"]
    assert "does not predict disgust, fear" in document["notes"][0]
