from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from helpers.datasets import made
from mien.cli import cli
from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError, InputError, MienError, MissingFileError, ModelError, TrainingError
from mien.evaluation.metrics import score_labels, score_probabilities
from mien.evaluation.scoring.evaluate import score_predictions
from mien.published.features import FEATURES
from mien.published.recipes.svm import SVM_RECIPES
from mien.published.svm.model_file import load_svm_model, save_svm_model
from mien.published.svm.recipe import SvmRecipe
from mien.published.svm.run_folder import load_svm
from mien.published.svm.scoring import evaluate_svm, predict_svm
from mien.published.svm.training import fit_svm

RECIPE = SVM_RECIPES["svm-hog"]
CODES = {"angry": 0, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}


def clusters(n: int = 350, spread: float = 0.2) -> Dataset:
    """Vectors of one emotion lie about one point, so that a machine that works tells emotions apart."""
    base = made(n, side=8)
    rng = np.random.default_rng(1)
    points, around = rng.normal(0, 1, (7, 72)), rng.normal(0, spread, (n, 72))
    return replace(base, features={"hog": (points[base.emotion] + around).astype(np.float32)})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(clusters(), tmp_path_factory.mktemp("svm") / "hog.parquet")


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("scaled", [False, True])
def test_machines_learn_keep_and_are_read_back(data: Path, tmp_path: Path, kernel: str, scaled: bool) -> None:
    recipe = replace(RECIPE, kernel=kernel, scaled=scaled)
    folder = fit_svm(recipe, data, tmp_path / "run", command="mien train svm-hog")
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


def test_the_same_run_gives_the_same_machine(data: Path, tmp_path: Path) -> None:
    vectors = read_prepared(data).features["hog"]
    one, two = (load_svm(fit_svm(RECIPE, data, tmp_path / name))[1] for name in "ab")
    np.testing.assert_array_equal(one.decision_function(vectors), two.decision_function(vectors))


def test_a_limit_of_images_and_of_steps(data: Path, tmp_path: Path) -> None:
    run = fit_svm(replace(RECIPE, per_class=4, iterations=2), data, tmp_path / "few")
    one = json.loads((run / "result.json").read_text())["runs"][0]
    assert one["images"] == 5 * 4
    assert one["scores"]["test"]["n"] == 5 * 4
    assert not one["converged"]
    run = fit_svm(RECIPE, data, tmp_path / "all")
    assert json.loads((run / "result.json").read_text())["runs"][0]["converged"]


def test_images_that_are_in_training_too_are_counted_apart(tmp_path: Path) -> None:
    base = clusters()
    images = base.images.copy()
    rows = np.flatnonzero((base.split == "test") & (base.emotion == 3))[:3]
    images[rows] = images[np.flatnonzero(base.split == "train")[1]]
    data = write_prepared(replace(base, images=images), tmp_path / "a.parquet")
    scores = evaluate_svm(fit_svm(RECIPE, data, tmp_path / "run"), read_prepared(data))["results"]
    assert scores["emotion leak-free"]["n"] <= scores["emotion"]["n"] - 3


def test_no_type_but_ours_is_loaded(data: Path, tmp_path: Path) -> None:
    folder = fit_svm(RECIPE, data, tmp_path / "run")
    forest = Pipeline([("svm", RandomForestClassifier(2).fit([[0.0], [1.0]], [0, 1]))])
    save_svm_model(forest, folder / "model.skops")
    with pytest.raises(ModelError, match=r"names the type .*; do not use a file from a source you do not trust"):
        load_svm(folder)


def test_a_type_hidden_deep_in_the_schema_is_found(data: Path, tmp_path: Path) -> None:
    folder = fit_svm(RECIPE, data, tmp_path / "run")
    changed = tmp_path / "changed.skops"
    with zipfile.ZipFile(folder / "model.skops") as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                deep = schema["content"]["content"]
                deep[sorted(deep)[0]] = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    with pytest.raises(ModelError, match=r"names the type os\.system"):
        load_svm_model(changed)


@pytest.mark.parametrize("content", [b"", b"no zip at all", None])
def test_damaged_models_are_one_line(data: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.skops"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", "{}")
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not a readable model .*train it again"):
        load_svm_model(path)


def test_what_is_missing_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"takes landmarks and this file has none.*--features landmarks,hog-sliding"):
        fit_svm(SVM_RECIPES["svm-landmarks-sliding"], data, tmp_path / "a")
    with pytest.raises(MissingFileError, match="mien train svm-"):
        load_svm(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="not empty"):
        fit_svm(RECIPE, data, tmp_path)
    few = read_prepared(data)
    few = few[(few.emotion != 3) | (few.split != "train")]
    path = write_prepared(few, tmp_path / "few.parquet")
    with pytest.raises(DataError, match="no training images of 'happy'"):
        fit_svm(RECIPE, path, tmp_path / "b")
    with pytest.raises(DataError, match="no 'validation' images"):
        evaluate_svm(fit_svm(RECIPE, data, tmp_path / "c"), few.select("test"), split="validation")
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


def test_every_recipe_is_whole() -> None:
    published = {name: recipe.published["test"] for name, recipe in SVM_RECIPES.items() if recipe.published}
    assert published == {
        "svm-landmarks": 0.469, "svm-hog": 0.344, "svm-landmarks-hog": 0.550, "svm-landmarks-sliding": 0.594,
        "svm-landmarks-seven": 0.392, "svm-hog-seven": 0.290, "svm-landmarks-hog-seven": 0.482,
        "svm-landmarks-sliding-seven": 0.505,
    }  # fmt: skip
    lengths = {recipe.name: recipe.length for recipe in SVM_RECIPES.values() if recipe.published}
    assert lengths["svm-landmarks-hog"] == 208
    assert lengths["svm-landmarks-sliding"] == 2728
    kinds = {(recipe.features, recipe.kernel, recipe.scaled) for recipe in SVM_RECIPES.values()}
    assert len(kinds) == 5 * 2 * 2
    for recipe in SVM_RECIPES.values():
        assert set(recipe.features) <= set(FEATURES)
        assert not recipe.published or (recipe.kernel, recipe.scaled, recipe.gamma) == ("rbf", False, "auto")


def test_recipes_refuse_nonsense() -> None:
    with pytest.raises(InputError, match="order landmarks, hog"):
        replace(RECIPE, features=("hog", "landmarks"))
    with pytest.raises(InputError, match="two classes"):
        replace(RECIPE, classes=("happy", "happy"))
    with pytest.raises(InputError, match="c must be above 0"):
        SvmRecipe("a", "", ("hog",), ("happy", "sad"), c=0)


def test_labels_are_scored_as_probabilities_are() -> None:
    truth = np.array([0, 1, 2, 2, 1])
    predicted = np.array([0, 2, 2, 1, 1])
    labels = ("a", "b", "c")
    hard = score_labels(predicted, truth, labels, ordered=True)
    soft = score_probabilities(np.eye(3)[predicted], truth, labels, ordered=True)
    assert replace(soft, log_loss=None, ece=None, top2=None) == hard
    assert soft.log_loss is not None
    with pytest.raises(InputError, match="do not fit"):
        score_labels(predicted[:4], truth, labels)


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


def test_a_machine_is_paired_with_networks_by_image(data: Path, tmp_path: Path) -> None:
    prepared = read_prepared(data)
    given = predict_svm(fit_svm(RECIPE, data, tmp_path / "run"), prepared, slices=["emotion"])
    (one,) = given.by_protocol
    assert prepared.emotion is not None
    emotion = prepared.emotion[prepared.split == "test"]
    assert [CODES[one.labels[place]] for place in one.truth] == emotion[one.rows].tolist()
    document = score_predictions(given, samples=50)
    assert document["groups"]["emotion"]["emotion"]["disgust"]["n"] == 0
    assert document["details"] == {}
    assert "ece" not in document["results"]["emotion"]["intervals"]
    assert "does not predict disgust, fear" in document["notes"][0]
