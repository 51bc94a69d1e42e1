"""Export: parity, determinism, the card, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from mien import export as exporting
from mien.cli import cli
from mien.errors import ExportError, InputError, MissingFileError, ModelError
from mien.models.card import Card
from mien.models.catalog import FILES, MODELS, ShippedModel, read_model
from mien.models.model import Model, softmax
from mien.networks.catalog import get_network
from mien.recipes.catalog import get_recipe
from mien.training import run_folder as files


def untrained_run(folder: Path, name: str = "age-cpu") -> Path:
    """A run folder with random weights and random batch statistics, as training would leave it."""
    torch.manual_seed(1)
    chosen = get_recipe(name)
    module = get_network(chosen.network).module(chosen.head_sizes)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    files.write_json(folder / files.CONFIG, dataclasses.asdict(chosen))
    files.write_json(folder / files.ENVIRONMENT, {"commit": "abc", "data": {"file": "f.parquet", "sha256": "00"}})
    files.save_weights(module.state_dict(), folder / files.BEST)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    exporting.export(run, run / "age.onnx", name="age-test", scores={"results": {}}, temperatures={"age": 2.0})
    return run / "age.onnx"


def test_the_file_describes_itself(exported: Path) -> None:
    card = Model(exported, threads=1).card
    assert (card.name, card.task, card.size, card.channels) == ("age-test", "age", 64, "rgb")
    assert card.heads[0].labels[3] == "20-29"
    assert card.training["recipe"] == "age-cpu"
    assert card.training["commit"] == "abc"
    assert card.parameters == get_network("age").parameters
    assert "AI Act" in card.limits
    assert card.data == exporting.UNKNOWN_DATA  # the run folder states none, so no dataset is claimed
    assert Card.from_json(card.to_json()) == card


def test_export_is_deterministic(run: Path, exported: Path) -> None:
    again = run / "again.onnx"
    exporting.export(run, again, name="age-test", scores={"results": {}}, temperatures={"age": 2.0})
    assert again.read_bytes() == exported.read_bytes()
    assert str(Path.cwd()).encode() not in again.read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in again.read_bytes()


def test_onnx_computes_what_torch_does(run: Path, exported: Path) -> None:
    chosen, module, _ = files.load_run(run)
    assert exporting.logit_difference(exported.read_bytes(), module, chosen) <= exporting.TOLERANCE


def test_a_file_that_differs_is_refused(
    run: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a conversion gives, without its seconds
    monkeypatch.setattr(exporting, "to_onnx", lambda *_: onnx.load(exported))
    monkeypatch.setattr(exporting, "logit_difference", lambda *_: 2e-4)
    with pytest.raises(ExportError, match=r"2\.0e-04"):
        exporting.export(run, tmp_path / "bad.onnx", name="bad")
    monkeypatch.setattr(exporting, "logit_difference", lambda *_: float("nan"))
    with pytest.raises(ExportError, match="nothing was written"):
        exporting.export(run, tmp_path / "bad.onnx", name="bad")
    assert not list(tmp_path.iterdir())


def test_parity_sees_other_weights(run: Path, exported: Path) -> None:
    chosen, module, _ = files.load_run(run)
    with torch.no_grad():
        module.heads["age"].bias += 0.01
    assert exporting.logit_difference(exported.read_bytes(), module, chosen) > exporting.TOLERANCE


def test_probabilities_follow_logits_and_temperature(exported: Path) -> None:
    model = Model(exported, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (70, 64, 64, 3), np.uint8)
    probabilities, logits = model(crops)["age"], model.logits(crops)["age"]
    np.testing.assert_allclose(probabilities, softmax(logits / 2.0), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    one_by_one = np.concatenate([model(crops[i : i + 1])["age"] for i in range(len(crops))])
    np.testing.assert_allclose(probabilities, one_by_one, atol=1e-5)
    flipped = model(crops, flip=True)["age"]
    np.testing.assert_allclose(flipped, model(np.ascontiguousarray(crops[:, :, ::-1]), flip=True)["age"], atol=1e-6)
    assert model(crops[:0])["age"].shape == (0, 9)


def test_wrong_crops_are_refused(exported: Path) -> None:
    model = Model(exported, threads=1)
    with pytest.raises(InputError, match="64, 64, 3"):
        model(np.zeros((1, 48, 48, 1), np.uint8))
    with pytest.raises(InputError, match="uint8"):
        model(np.zeros((1, 64, 64, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="has no head 'x'"):
        model.card.head("x")


def test_a_file_without_a_card_is_refused(exported: Path, tmp_path: Path) -> None:
    bare = onnx.load(exported)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    with pytest.raises(ModelError, match="mien export"):
        Model(tmp_path / "bare.onnx")


def test_a_run_that_cannot_be_read(run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="mien train"):
        files.load_run(tmp_path)
    other = untrained_run(tmp_path / "other", "emotion-cpu")
    (other / files.BEST).write_bytes((run / files.BEST).read_bytes())
    with pytest.raises(ModelError, match="emotion-fast"):
        files.load_run(other)
    (other / files.BEST).write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="does not hold"):
        files.load_run(other)


@pytest.mark.parametrize("text", ["", "{}", '{"frame": 3}', "[1]"])
def test_a_broken_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="export the model again"):
        Card.from_json(text)


def test_cards_are_validated(exported: Path) -> None:
    card = Model(exported, threads=1).card
    with pytest.raises(ModelError, match="channels"):
        dataclasses.replace(card, channels="bgr")
    with pytest.raises(ModelError, match="mean and std"):
        dataclasses.replace(card, mean=(0.5,))
    with pytest.raises(ModelError, match="head"):
        dataclasses.replace(card, heads=())


@pytest.mark.parametrize("name", MODELS)
def test_shipped_models(name: str) -> None:
    """Every row of the catalog loads, keeps the limits of its kind, and states where it comes from."""
    row = MODELS[name]
    assert (FILES / row.filename).stat().st_size < 8e6
    card = Model(read_model(name), threads=1).card
    assert card.task == row.task
    assert card.parameters <= {"emotion": 1_500_000, "age": 1_000_000}[row.task]
    assert {"recipe", "command", "commit", "seed"} <= set(card.training)
    assert len(card.training["commit"]) == 40
    assert card.scores["results"]
    text = card.to_json()
    assert "/tmp" not in text
    assert "/home" not in text


def test_a_shipped_model_with_a_wrong_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    import mien.models.catalog as catalog

    wrong = dict(MODELS) | {"emotion": dataclasses.replace(MODELS["emotion"], sha256="0" * 64)}
    monkeypatch.setattr(catalog, "MODELS", wrong)
    with pytest.raises(ModelError, match="pip install --force-reinstall"):
        read_model("emotion")
    gone = ShippedModel("gone.onnx", "0" * 64, "emotion", "", ())
    monkeypatch.setattr(catalog, "MODELS", {"gone": gone})
    with pytest.raises(MissingFileError, match="install mien again"):
        read_model("gone")


def test_unknown_model_names_list_the_known() -> None:
    with pytest.raises(InputError, match="no model 'nonsense'; there are emotion, age, "):
        read_model("nonsense")
    with pytest.raises(MissingFileError, match="check the path"):
        read_model("nowhere.onnx")


def test_json_of_a_card_has_no_nan(exported: Path) -> None:
    json.loads(Model(exported, threads=1).card.to_json(), parse_constant=lambda name: pytest.fail(name))


def test_a_card_takes_scores_without_curves(run: Path, tmp_path: Path) -> None:
    scores, out = tmp_path / "scores.json", tmp_path / "a.onnx"
    scores.write_text(json.dumps({"results": {"age": {"n": 3}}, "details": {"age": [1, 2, 3]}}))
    call = ["export", str(run), "--out", str(out), "--scores", str(scores)]
    assert CliRunner().invoke(cli, call, catch_exceptions=False).exit_code == 0
    assert Model(out, threads=1).card.scores == {"results": {"age": {"n": 3}}}
    scores.write_text(json.dumps({"models": []}))
    with pytest.raises(InputError, match="not the scores of one model"):
        CliRunner().invoke(cli, call, catch_exceptions=False)


def test_the_mean_with_the_model_that_a_run_started_from(run: Path, exported: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.onnx"
    other = onnx.load(exported)
    for one in other.graph.initializer:
        value = onnx.numpy_helper.to_array(one)
        if value.dtype == np.float32 and value.ndim > 1:
            one.CopyFrom(onnx.numpy_helper.from_array(value * np.float32(0.5), one.name))
    onnx.save(other, start)
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    logits = {}
    for share in (0.0, 0.4, 1.0):
        mean = onnx.load(exported)
        exporting.blend_weights(mean, start, share)
        onnx.save(mean, tmp_path / "mean.onnx")
        logits[share] = Model(tmp_path / "mean.onnx", threads=1).logits(crops)["age"]
    np.testing.assert_array_equal(logits[0.0], Model(exported, threads=1).logits(crops)["age"])
    np.testing.assert_array_equal(logits[1.0], Model(start, threads=1).logits(crops)["age"])
    assert not np.allclose(logits[0.4], logits[0.0])
    card = exporting.export(run, tmp_path / "mean.onnx", name="mean", blend=start, blend_share=0.4)
    assert card.training["blend"]["file"] == "start.onnx"
    assert card.training["blend"]["share"] == 0.4
    np.testing.assert_array_equal(Model(tmp_path / "mean.onnx", threads=1).logits(crops)["age"], logits[0.4])
    with pytest.raises(InputError, match="no weights"):
        exporting.blend_weights(onnx.load(exported), FILES / "emotion.onnx", 0.5)
    with pytest.raises(MissingFileError):
        exporting.export(run, tmp_path / "a.onnx", name="a", blend=tmp_path / "absent.onnx")
    with pytest.raises(InputError, match="0 to 1"):
        exporting.export(run, tmp_path / "a.onnx", name="a", blend=start, blend_share=1.5)
