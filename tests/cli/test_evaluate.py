"""`mien evaluate` and `mien calibrate`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from helpers.datasets import noise
from helpers.pictures import astronaut
from helpers.scoring import labelled_faces, write_fairface
from helpers.tiny_recipe import TINY
from mien import defaults
from mien.cli import cli
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.ferplus import SCORING_RULES
from mien.datasets.prepared_file import write_prepared
from mien.errors import MienError
from mien.labels import FER2013
from mien.models.catalog import read_model
from mien.models.model import Model, softmax
from mien.networks.catalog import get_network
from mien.training.config import HeadSpec, recipe_to_dict
from mien.training.run_folder import BEST, CONFIG, save_weights, write_json


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(labelled_faces(60), tmp_path_factory.mktemp("scoring") / "f.parquet")


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and everything printed; an error of ours as the line that the command would print."""
    try:
        result = CliRunner().invoke(cli, [str(each) for each in arguments], catch_exceptions=False)
    except MienError as error:
        return 1, f"mien: {error}"
    return result.exit_code, result.output


def test_the_command_writes_json_and_report(file: Path, tmp_path: Path) -> None:
    code, out = run("evaluate", "emotion", "emotion", "--data", file, "--bootstrap", 50, "--threads", 1,
                    "--json", tmp_path / "a.json", "--report", tmp_path / "r", "--slices", "emotion")  # fmt: skip
    assert code == 0, out
    assert "McNemar" in out
    assert "emotion #2" in out
    document = json.loads((tmp_path / "a.json").read_text())
    assert [one["model"] for one in document["models"]] == ["emotion", "emotion #2"]
    assert {one["p"] for one in document["comparisons"]} == {1.0}
    assert (tmp_path / "r" / "report.html").stat().st_size > 50_000


def test_a_report_replaces_only_results(file: Path, tmp_path: Path) -> None:
    call = ("evaluate", "emotion", "--data", file, "--bootstrap", 0, "--report")
    for _ in range(2):
        assert run(*call, tmp_path / "new")[0] == 0
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("report.html", "ferplus-confusion.png"):
        (mine / name).write_text("mine")
        code, out = run(*call, mine)
        assert code == 1
        assert f"{mine / name}: exists already, and need not be a result of mien" in out
        assert [path.read_text() for path in mine.iterdir()] == ["mine"]
        (mine / name).unlink()


def test_options_of_models_are_no_options_of_detectors(tmp_path: Path) -> None:
    code, out = run("evaluate", "haar", "--data", tmp_path / "photos.parquet", "--report", tmp_path / "r")
    assert code == 2
    assert "not for detectors" in out


def test_one_model_keeps_the_layout_that_cards_hold(file: Path, tmp_path: Path) -> None:
    code, out = run("evaluate", "emotion", "--data", file, "--bootstrap", 0, "--json", tmp_path / "a.json")
    assert code == 0, out
    document = json.loads((tmp_path / "a.json").read_text())
    assert {"model", "dataset", "split", "flip", "results", "groups"} <= set(document)
    assert "intervals" not in document["results"]["ferplus"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--map", "joy=happy"), 1, "no label 'joy'"),
        (("--map", "joy"), 1, "LABEL=MEANING"),
        (("--labels", "emotion"), 1, "--map contempt=-"),
        (("--labels", "age"), 1, "none of the model's heads"),
        (("--slices", "race"), 1, "fer2013 has no column 'race', only emotion"),
        (("--split", "nonsense"), 1, "no 'nonsense' images"),
        (("--face-size", 64), 2, "--end-to-end"),
        (("--end-to-end", "--face-size", 900), 2, "160"),
    ],
)
def test_bad_calls_say_what_to_do(file: Path, arguments: tuple[Any, ...], code: int, words: str) -> None:
    found = run("evaluate", "emotion", "--data", file, *arguments)
    assert found[0] == code
    assert words in found[1]
    assert len(found[1].splitlines()) == 1 or code == 2


def test_a_prior_that_no_model_offers_is_refused(file: Path, tmp_path: Path) -> None:
    trained = replace(TINY, heads=(HeadSpec("fer2013", FER2013.names, "emotion"),))
    torch.manual_seed(0)
    save_weights(get_network(trained.network).module(trained.head_sizes).state_dict(), tmp_path / BEST)
    write_json(tmp_path / CONFIG, recipe_to_dict(trained))
    code, said = run("evaluate", tmp_path, "--data", file, "--prior", "balanced")
    assert code == 2
    assert "none of the models offers the prior 'balanced': leave it out, or fit it" in said
    # beside one that offers it, the names show which one does not
    code, said = run("evaluate", tmp_path, "emotion", "--data", file, "--prior", "balanced", "--bootstrap", 10)
    assert code == 0, said
    assert "emotion, prior balanced" in said


def test_end_to_end_on_the_command_line(file: Path, tmp_path: Path) -> None:
    code, out = run("evaluate", "emotion", "--data", file, "--end-to-end", "--threads", 1, "--bootstrap", 20,
                    "--json", tmp_path / "a.json")  # fmt: skip
    assert code == 0, out
    found = json.loads((tmp_path / "a.json").read_text())["detection"]
    assert (found["faces"], found["side"], found["detector"]) == (12, 96, defaults.DETECTOR)
    assert found["missed"] >= 10, "noise is no face"
    photos = write_fairface(tmp_path, 6)
    code, out = run("evaluate", "age", "--data", photos, "--split", "validation", "--end-to-end", "--threads", 1)
    assert code == 0, out
    assert "6 of 6 faces were not found" in out
    assert run("evaluate", "age", "--data", photos, "--end-to-end", "--turn", 5)[0] == 2


def test_calibrate_on_the_command_line(tmp_path: Path) -> None:
    """Labels are drawn from what the model predicts at temperature 2: that is what it has to find."""
    images = noise(800, 48, 48, 1, seed=8)
    reported = softmax(Model(read_model("emotion"), threads=1).logits(images)["fer2013"] / 2)
    emotion = (reported.cumsum(axis=1) < np.random.default_rng(0).uniform(size=(800, 1))).sum(axis=1).clip(0, 6)
    split = np.array(["validation", "test"])[np.arange(800) // 700]
    info = DatasetInfo("fer2013", "fer2013")
    data = Dataset(images, split, np.arange(800, dtype=np.int32), info, emotion=emotion.astype(np.int8))
    path = write_prepared(data, tmp_path / "f.parquet")
    code, out = run("calibrate", "emotion", "--data", path, "--threads", 1, "--json", tmp_path / "c.json",
                    "--out", tmp_path / "m.onnx")  # fmt: skip
    assert code == 0, out
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["heads"]["fer2013"]["adopted"]
    assert document["heads"]["fer2013"]["temperature"] == pytest.approx(2, rel=0.35)
    card = Model(tmp_path / "m.onnx", threads=1).card
    assert card.head("fer2013").temperature == document["heads"]["fer2013"]["temperature"]
    assert card.scores["calibration"]["heads"] == document["heads"]
    assert card.scores["results"]["fer2013"]["n"] == 100
    # without test images the card holds what the images of the fit score, not what an earlier card held
    alone = write_prepared(data[data.split == "validation"], tmp_path / "alone.parquet")
    assert run("calibrate", "emotion", "--data", alone, "--threads", 1, "--out", tmp_path / "a.onnx")[0] == 0
    assert Model(tmp_path / "a.onnx", threads=1).card.scores["results"]["fer2013"]["n"] == 700
    assert run("calibrate", "emotion", "--data", tmp_path / "none.parquet")[0] == 1
    assert run("calibrate", tmp_path, "--data", path, "--out", tmp_path / "n.onnx")[0] == 2


def test_a_temperature_that_is_not_adopted_is_no_change(tmp_path: Path) -> None:
    """Random labels: whatever temperature fits 20 of them best may be chance."""
    images = noise(40, 48, 48, 1, seed=8)
    emotion = (np.arange(40) % 7).astype(np.int8)
    split = np.array(["validation", "test"])[np.arange(40) // 20]
    data = Dataset(images, split, np.arange(40, dtype=np.int32), DatasetInfo("fer2013", "fer2013"), emotion=emotion)
    path = write_prepared(data, tmp_path / "f.parquet")
    fitted = replace(TINY, heads=(HeadSpec("fer2013", FER2013.names, "emotion"),))
    torch.manual_seed(11)
    module = get_network(fitted.network).module(fitted.head_sizes)
    save_weights(module.state_dict(), tmp_path / BEST)
    write_json(tmp_path / CONFIG, recipe_to_dict(fitted))
    code, out = run("calibrate", tmp_path, "--data", path, "--threads", 1)
    assert code == 0, out
    assert "No temperature is adopted" in out
    assert "--temperature" not in out
    assert "→" not in out


def test_the_example_of_the_page_runs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "fer2013.parquet").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/evaluation.md", "exec"), {"__name__": "example"})
    document = json.loads((tmp_path / "out" / "compared" / "report.json").read_text())
    assert {one["protocol"] for one in document["comparisons"]} == {"emotion / ferplus on emotion", "emotion / fer2013"}


def test_protocols_are_chosen_by_name(file: Path, tmp_path: Path) -> None:
    def protocols(*options: str) -> list[str]:
        code, out = run(
            "evaluate", "emotion", "--data", file, "--bootstrap", 0, "--json", tmp_path / "a.json", *options
        )
        assert code == 0, out
        return [name for name in json.loads((tmp_path / "a.json").read_text())["results"] if "leak-free" not in name]

    assert protocols("--protocol", "argmax", "--protocol", "fer2013") == ["ferplus argmax", "fer2013"]
    assert protocols("--protocol", "all") == [*(f"ferplus {rule}" for rule in SCORING_RULES), "fer2013"]
    seven = protocols("--protocol", "majority-7", "--map", "neutral=-")
    assert seven == ["ferplus majority-7"]
    code, out = run("evaluate", "emotion", "--data", file, "--protocol", "best")
    assert code == 1
    assert "no protocol 'best'" in out
    assert "argmax-untied" in out
    code, out = run("evaluate", "emotion", "--data", file, "--protocol", "argmax", "--end-to-end")
    assert code == 2


def test_detectors_are_scored_by_name_in_one_table(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.fromarray(astronaut()).save(tmp_path / "images" / "one.png")
    x, y, w, h = 222 / 512, 118 / 512, 88 / 512, 110 / 512
    (tmp_path / "labels" / "one.txt").write_text(f"0 {x} {y} {w} {h}\n")
    Image.fromarray(noise(1, 200, 300, 3)[0]).save(tmp_path / "images" / "none.png")
    code, out = run("evaluate", "mien", "haar", "--data", tmp_path, "--threads", 1, "--json", tmp_path / "scores.json")
    assert code == 0, out
    document = json.loads((tmp_path / "scores.json").read_text())
    assert list(document["detectors"]) == ["mien", "haar"]
    assert document["detectors"]["mien"]["recall"]["all"] == 1
    assert document["detectors"]["mien"]["false boxes"] == 0
    assert "2 photos, 1 faces, 1 photos without faces" in out
    assert "mien" in out
    assert "average precision" in out


def test_a_file_without_a_card_is_scored_with_the_labels_that_are_given(file: Path, tmp_path: Path) -> None:
    import onnx

    plain = onnx.load_from_string(read_model("emotion"))
    del plain.metadata_props[:]
    theirs = tmp_path / "theirs.onnx"
    onnx.save(plain, theirs)
    code, text = run("evaluate", theirs, "--data", file, "--split", "train", "--bootstrap", 0)
    assert code == 1
    assert "name the labels of its columns with --classes" in text
    classes = "neutral,happy,surprise,sad,angry,disgust,fear,contempt"
    report = tmp_path / "both.json"
    card = Model(read_model("emotion"), threads=1).card
    pixels = f"{255 * card.mean[0]},{255 * card.std[0]}"
    code, text = run(
        "evaluate", theirs, "emotion", "--data", file, "--split", "train", "--bootstrap", 0, "--protocol", "majority-7",
        "--classes", classes, "--pixels", pixels, "--json", report,
    )  # fmt: skip
    assert code == 0, text
    first, second = json.loads(report.read_text())["models"]
    assert (first["model"], second["model"]) == ("theirs", "emotion")
    assert set(first["results"]) == set(second["results"])
    code, text = run("evaluate", "emotion", "--data", file, "--pixels", "0,1")
    assert code == 2
    assert "--classes names" in text
    code, text = run("evaluate", theirs, "--data", file, "--classes", classes, "--pixels", "1")
    assert code == 2
    assert "two numbers" in text
