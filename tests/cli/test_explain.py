"""``mien explain`` as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from helpers.commands import runner
from helpers.datasets import made, votes_for
from helpers.pictures import astronaut, noise
from mien.cli import explain as module
from mien.datasets.prepared_file import write_prepared
from mien.errors import MienError
from mien.explain.contact_sheets import SHEETS
from mien.explain.methods import METHODS, REGIONS
from mien.networks.catalog import get_network
from mien.recipes.catalog import get_recipe
from mien.training.run_folder import BEST, CONFIG, save_weights, write_json

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a small attentional network with random weights."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(1)
    chosen = get_recipe("attention-parallel")
    write_json(folder / CONFIG, asdict(chosen))
    save_weights(get_network(chosen.network).build(chosen.head_sizes).state_dict(), folder / BEST)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = made(400, side=48)
    assert prepared.emotion is not None
    return write_prepared(
        replace(prepared, votes=votes_for(prepared.emotion)), tmp_path_factory.mktemp("data") / "fer.parquet"
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(astronaut()[:260, 90:360]).save(tmp_path / "a.photo.png")
    return tmp_path / "a.photo.png"


def call(*arguments: object) -> Result:
    return runner().invoke(module.command, [str(one) for one in arguments])


def refused(*arguments: object) -> str:
    """The message of a call that must fail with one of our errors, as one line."""
    result = call(*arguments)
    assert isinstance(result.exception, MienError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_choices_are_those_of_the_tables() -> None:
    assert (*METHODS, REGIONS) == module.METHODS
    assert tuple(SHEETS) == module.SHEETS


def test_photos(photo: Path, run: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(80, 90, blur=4)).save(tmp_path / "none.png")
    out = tmp_path / "maps"
    methods = ("saliency", "grad-cam", "regions")
    chosen = [part for name in methods for part in ("--method", name)]
    result = call(photo, tmp_path / "none.png", "--model", run, *chosen, "--target", "all", "--out", out)
    assert result.exit_code == 0, result.output
    assert "none.png: no face found" in result.stderr
    assert sorted(path.name for path in out.glob("[!.]*")) == ["a.photo-face1.npz", "a.photo-face1.png"]
    with np.load(out / "a.photo-face1.npz") as arrays:
        assert arrays["maps"].shape == (7, 3, 48, 48)
        assert arrays["maps"].dtype == np.float32
        assert arrays["crop"].shape == (48, 48, 1)
        assert tuple(arrays["methods"]) == methods
        assert arrays["classes"].tolist() == arrays["labels"].tolist()
        assert arrays["probabilities"].sum() == pytest.approx(1, abs=1e-5)
        assert arrays["region"].shape == (4, 2)
    with Image.open(out / "a.photo-face1.png") as picture:
        assert picture.width > 4 * 192
        assert picture.height > 7 * 192
        pixels = np.asarray(picture)
    # the first tile is the crop: a face, in gray
    assert pixels[60:150, 60:150].std() > 20


def test_the_shipped_model_explains_a_portrait(photo: Path, tmp_path: Path) -> None:
    result = call(photo, "--method", "grad-cam", "--method", "saliency", "--out", tmp_path / "maps", "--threads", 1)
    assert result.exit_code == 0, result.output
    assert "happy" in result.stdout
    with np.load(tmp_path / "maps" / "a.photo-face1.npz") as arrays:
        assert arrays["classes"].tolist() == ["happy"]
        assert (arrays["maps"].max(axis=(2, 3)) > 0).all()


def test_what_cannot_be_read_does_not_stop_the_rest(photo: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    arguments = ("--model", run, "--method", "saliency", "--out", tmp_path / "maps")
    result = call(tmp_path / "broken.jpg", tmp_path / "absent.jpg", photo, *arguments)
    assert result.exit_code == 1
    assert len([line for line in result.stderr.splitlines() if line.startswith("mien: ")]) == 2
    assert (tmp_path / "maps" / "a.photo-face1.png").is_file()


def test_tests_of_maps(data: Path, run: Path, tmp_path: Path) -> None:
    arguments = ("--model", run, "--method", "saliency", "--images", 6, "--split", "validation")
    result = call("--data", data, *arguments, "--faithfulness", "--sanity", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    faithful = json.loads((tmp_path / "faithfulness.json").read_text())
    assert (faithful["images"], faithful["split"]) == (6, "validation")
    assert set(faithful["orders"]) == {"random order", "centre first", "saliency"}
    sane = json.loads((tmp_path / "sanity.json").read_text())
    assert len(sane["methods"]["saliency"]["spearman"]) == len(sane["shuffled"]) == 5
    for name in ("faithfulness.png", "sanity.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 800
    assert "random order" in result.stdout


def test_averages(data: Path, run: Path, tmp_path: Path) -> None:
    result = call("--data", data, "--model", run, "--average", "--method", "saliency", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "average.npz") as arrays:
        assert arrays["maps"].shape == (7, 1, 48, 48)
        assert arrays["faces"].shape == (7, 48, 48, 1)
        assert arrays["counts"].min() >= 10
        assert arrays["maps"].max() <= 1
    few = call("--data", data, "--model", run, "--average", "--images", 3, "--method", "saliency", "--out", tmp_path)
    assert few.exit_code == 0
    assert few.stderr.count("left out") == 7


def test_regions(data: Path, run: Path, tmp_path: Path) -> None:
    result = call("--data", data, "--model", run, "--method", "regions", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    reported = json.loads((tmp_path / "regions.json").read_text())
    assert reported["images"] == 80
    # the last layer of a fresh transformer is the identity, on features that begin three sixteenths inside
    assert reported["all"]["width"]["mean"] == pytest.approx(0.75)
    with np.load(tmp_path / "regions.npz") as arrays:
        np.testing.assert_allclose(arrays["corners"][0], [[6, 6], [42, 6], [42, 42], [6, 42]], atol=1e-4)
        assert arrays["coverage"][24, 24] == 1
        assert arrays["coverage"][0, 0] == 0


def test_sheets(data: Path, run: Path, tmp_path: Path) -> None:
    sheets = [part for name in SHEETS for part in ("--sheet", name)]
    result = call("--data", data, "--model", run, *sheets, "--images", 10, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("do not publish or commit") == len(SHEETS)
    for name in SHEETS:
        rows = json.loads((tmp_path / f"sheet-{name}.json").read_text())
        assert len(rows) == 10
        assert all(isinstance(value, (str, int, float)) for row in rows for value in row.values())
    errors = json.loads((tmp_path / "sheet-errors.json").read_text())
    assert all(row["true"] != row["predicted"] for row in errors)
    confident = [row["probability"] for row in errors]
    assert confident == sorted(confident, reverse=True)


def test_bad_input_is_one_line(photo: Path, data: Path, run: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "maps")
    assert "did you mean 'angry'? There are predicted, all, neutral" in refused(photo, "--target", "hungry", *out)
    assert "choose a convolution: stem.0" in refused(photo, "--layer", "nothing", *out)
    assert "no head 'age'; there are ferplus, fer2013" in refused(photo, "--head", "age", *out)
    assert "no spatial transformer" in refused(photo, "--method", "regions", *out)
    assert "nobody: no such model; there are emotion, age, an .onnx file" in refused(photo, "--model", "nobody", *out)
    assert "mien data prepare" in refused("--data", tmp_path / "absent.parquet", "--average", *out)
    (tmp_path / "file").touch()
    assert "is a file; give a folder" in refused(photo, "--out", tmp_path / "file")
    assert "is an input" in refused(photo, "--out", photo)
    assert "no labels of head 'age'" in refused("--data", data, "--model", "age", "--average", *out)
    assert "one class per face" in refused("--data", data, "--model", run, "--sanity", "--target", "all", *out)
    assert "no head 'age'; there are emotion" in refused(
        "--data", data, "--model", run, "--sheet", "errors", "--head", "age", *out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give either photos or --data FILE"),
        (("photo.jpg", "--data", "f.parquet"), "Give either photos or --data FILE"),
        (("photo.jpg", "--average"), "--average and --sheet need a dataset"),
        (("--data", "f.parquet"), "Select what to compute"),
        (("photo.jpg", "--method", "guess"), "'guess' is not one of"),
    ],
)
def test_wrong_calls(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = call(*arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in result.output


def test_files_that_are_no_results_are_not_replaced(photo: Path, data: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "a.photo-face1.npz").write_text("mine")
    (out / "average.png").write_text("mine")
    for arguments, name in (((photo,), "a.photo-face1.npz"), (("--data", data, "--average"), "average.png")):
        result = call(*arguments, "--model", run, "--method", "saliency", "--out", out)
        assert isinstance(result.exception, MienError)
        assert result.exception.code == "output-exists"
        assert str(result.exception.path) == str(out / name)
    assert sorted(path.name for path in out.iterdir()) == ["a.photo-face1.npz", "average.png"]
    assert {path.read_text() for path in out.iterdir()} == {"mine"}
    # beside files of other names it writes, and its own folder it writes again
    result = call("--data", data, "--sheet", "errors", "--model", run, "--out", out)
    assert result.exit_code == 0, result.output
    for _ in range(2):
        result = call(photo, "--model", run, "--method", "saliency", "--out", tmp_path / "new")
        assert result.exit_code == 0, result.output
    assert (tmp_path / "new" / "a.photo-face1.png").is_file()
