from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.svm_data import CODES, RECIPE
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError, MissingFileError, TrainingError
from mien.published.recipes.svm import SVM_RECIPES
from mien.published.svm.run_folder import load_svm
from mien.published.svm.scoring import evaluate_svm
from mien.published.svm.training import train_svm


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_model_learns_and_is_loaded_again(data: Path, tmp_path: Path, kernel: str, scaled: bool) -> None:
    recipe = replace(RECIPE, kernel=kernel, scaled=scaled)
    folder = train_svm(recipe, data, tmp_path / "run", command="mien train svm-hog")
    back, machine = load_svm(folder)
    assert back == recipe
    prepared = read_prepared(data)
    test = prepared[(prepared.split == "test") & np.isin(prepared.emotion, list(CODES.values()))]
    predicted = machine.predict(test.features["hog"])
    truth = np.array([recipe.classes.index(prepared.taxonomy.names[code]) for code in test.emotion])
    expected = (predicted == truth).mean()
    assert expected > 0.95
    document = evaluate_svm(folder, prepared)
    scores = document["results"]["emotion"]
    assert scores["accuracy"] == pytest.approx(expected)
    assert scores["n"] == len(test)
    assert scores["labels"] == recipe.classes
    assert (scores["log_loss"], scores["ece"]) == (None, None)
    result = json.loads((folder / "result.json").read_text())
    assert result["row"] == "svm-hog"
    run = result["runs"][0]
    assert run["scores"]["test"]["accuracy"] == pytest.approx(expected)
    assert run["scores"]["validation"]["n"] == 50
    assert run["command"] == "mien train svm-hog"
    train = prepared[(prepared.split == "train") & np.isin(prepared.emotion, list(CODES.values()))]
    assert run["images"] == len(train)
    if kernel == "rbf":
        n = result["parameters"]["support_vectors"]
        assert 5 <= n <= len(train)
        assert result["parameters"]["trained"] == n * 72 + n * 4 + 10
    else:
        assert result["parameters"] == {"trained": 5 * 72 + 5}


def test_the_same_run_gives_the_same_model(data: Path, tmp_path: Path) -> None:
    vectors = read_prepared(data).features["hog"]
    one, two = (load_svm(train_svm(RECIPE, data, tmp_path / name))[1] for name in "ab")
    np.testing.assert_array_equal(one.decision_function(vectors), two.decision_function(vectors))


def test_a_limit_of_images_and_of_steps(data: Path, tmp_path: Path) -> None:
    run = train_svm(replace(RECIPE, per_class=4, iterations=2), data, tmp_path / "few")
    one = json.loads((run / "result.json").read_text())["runs"][0]
    assert one["images"] == 5 * 4
    assert one["scores"]["test"]["n"] == 5 * 4
    assert not one["converged"]
    run = train_svm(RECIPE, data, tmp_path / "all")
    assert json.loads((run / "result.json").read_text())["runs"][0]["converged"]


def test_missing_features_files_and_images_are_reported(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"takes landmarks and this file has none.*--features landmarks,hog-sliding"):
        train_svm(SVM_RECIPES["svm-landmarks-sliding"], data, tmp_path / "a")
    with pytest.raises(MissingFileError, match="mien train svm-"):
        load_svm(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="not empty"):
        train_svm(RECIPE, data, tmp_path)
    few = read_prepared(data)
    few = few[(few.emotion != 3) | (few.split != "train")]
    path = write_prepared(few, tmp_path / "few.parquet")
    with pytest.raises(DataError, match="no training images of 'happy'"):
        train_svm(RECIPE, path, tmp_path / "b")
    with pytest.raises(DataError, match="no 'validation' images"):
        evaluate_svm(train_svm(RECIPE, data, tmp_path / "c"), few.select("test"), split="validation")
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
