from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from helpers.commands import runner
from helpers.datasets import made
from helpers.textures import textures
from mien.cli import audit as audit_cli
from mien.cli import cli
from mien.datasets.audit import CHECKS
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError, MienError
from mien.evaluation.scoring.label_check import make_label_model
from mien.evaluation.scoring.scored_model import ScoredModel

N = 70


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Row 13 (validation) is row 2 (train) again, with another label; 9 is of one brightness."""
    data = made(N)
    images = textures(data.emotion)
    images[13], images[9] = images[2], 50
    return replace(data, images=images)


@pytest.fixture(scope="module")
def prepared(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(data, tmp_path_factory.mktemp("data") / "made.parquet")


def run(*arguments: object) -> Result:
    return runner().invoke(cli, ["data", "audit", *map(str, arguments)])


def test_names_stand_in_the_table() -> None:
    assert tuple(CHECKS) == audit_cli.CHECKS


def test_table_json_and_page(prepared: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("all.json", "sub/counts.json", "page.html")]
    result = run(prepared, "--json", files[0], "--json-summary", files[1], "--html", files[2])
    assert result.exit_code == 0, result.output
    assert "69 distinct images of 70." in result.stdout
    assert "Also in train: 1 validation." in result.stdout
    assert "train 2 (fear), validation 13 (neutral)" in result.stdout
    assert "did not run: the dataset has no FER+ votes" in result.stdout
    everything, counts = (json.loads(path.read_text(encoding="utf-8")) for path in files[:2])
    assert list(everything["checks"]) == list(CHECKS)
    assert everything["images"] == {"train": 42, "validation": 14, "test": 14, "total": 70}
    assert everything["checks"]["exact"]["findings"] == [
        {"rows": [2, 13], "splits": ["train", "validation"], "labels": ["fear", "neutral"]}
    ]
    assert everything["checks"]["constant"]["findings"][0]["rows"] == [9]
    assert "findings" not in counts["checks"]["exact"]
    assert counts["checks"]["exact"]["also_in_train"]["validation"] == 1
    assert counts["options"]["bits"] == 16
    assert "<img" not in files[2].read_text(encoding="utf-8")


def test_options_reach_the_checks(prepared: Path, tmp_path: Path) -> None:
    page, counts = tmp_path / "page.html", tmp_path / "counts.json"
    result = run(
        prepared, "--checks", "constant, exact", "--constant", 300, "--show", 0, "--json-summary", counts,
        "--html", page, "--thumbnails",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(counts.read_text())
    assert list(document["checks"]) == ["exact", "constant"]
    assert document["checks"]["constant"]["images"]["total"] == N
    assert "train 2" not in result.stdout
    assert "do not publish it" in result.stderr
    assert "data:image/png" in page.read_text(encoding="utf-8")


def test_probabilities(prepared: Path, data: Dataset, tmp_path: Path) -> None:
    probabilities = np.full((N, 7), 0.01)
    probabilities[np.arange(N), data.emotion] = 0.94
    probabilities[20] = probabilities[21]
    np.save(tmp_path / "p.npy", probabilities)
    result = run(prepared, "--checks", "labels", "--probabilities", tmp_path / "p.npy")
    assert result.exit_code == 0, result.output
    assert "1 label of 70 are probably wrong according to p.npy" in result.stdout
    assert "The file does not record" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checks", "nearly"], "no check 'nearly'"),
        (["--probabilities", "absent.npy"], "no such file"),
        (["--model", "absent"], "no such model"),
        (["--json", "."], "is a folder"),
    ],
)
def test_one_line_reports_what_is_wrong(arguments: list[str], message: str, prepared: Path) -> None:
    result = run(prepared, *arguments)
    assert isinstance(result.exception, MienError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_report_that_cannot_be_written_does_not_stop_the_others(prepared: Path, tmp_path: Path) -> None:
    result = run(prepared, "--checks", "constant", "--json", "/dev/full", "--html", tmp_path / "page.html")
    assert result.exit_code == 1
    assert "/dev/full: cannot be written" in result.stderr
    assert "1 image of one brightness" in result.stdout
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unseen"], "--model"),
        (["--thumbnails"], "--html"),
        (["--model", "emotion", "--probabilities", "p.npy"], "not both"),
        (["--near", "33"], "0<=x<=32"),
    ],
)
def test_wrong_calls(arguments: list[str], message: str, prepared: Path) -> None:
    result = run(prepared, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_file_that_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("hello")
    for name in ("text.parquet", "absent.parquet"):
        assert "mien data prepare" in str(run(tmp_path / name).exception)


def scorable(**heads: tuple[str, ...]) -> ScoredModel:
    def predict(images: np.ndarray, features: object, flip: bool) -> dict[str, np.ndarray]:
        return {
            name: np.full((len(images), len(labels)), 1 / len(labels), np.float32) for name, labels in heads.items()
        }

    return ScoredModel("net", 48, 1, heads, predict)


FER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_a_model_judges_what_it_has_not_seen(data: Dataset) -> None:
    model = make_label_model(scorable(ferplus=(*FER, "contempt"), fer2013=FER), data)
    assert model.labels == FER
    assert model.name == "net, head fer2013"
    # 13 stands in train too
    held_out = set(np.flatnonzero(data.split != "train").tolist()) - {13}
    assert set(np.flatnonzero(model.predicted).tolist()) == held_out
    assert "may have been trained" in model.caveat
    assert make_label_model(scorable(fer2013=FER), data, unseen=True).predicted.all()


@pytest.mark.parametrize(
    ("change", "heads", "error", "message"),
    [
        (lambda d: d, {"fer2013": FER[:6]}, DataError, "no head of net has the labels neutral.*--probabilities"),
        (lambda d: replace(d, split=np.full(N, "train")), {"fer2013": FER}, DataError, "--unseen"),
        (
            lambda d: replace(d, emotion=None, info=DatasetInfo("x")),
            {"fer2013": FER},
            InputError,
            "neither emotions nor ages",
        ),
    ],
)
def test_a_model_that_does_not_fit(
    change: Callable[[Dataset], Dataset],
    heads: dict[str, tuple[str, ...]],
    error: type[MienError],
    message: str,
    data: Dataset,
) -> None:
    with pytest.raises(error, match=message):
        make_label_model(scorable(**heads), change(data))
