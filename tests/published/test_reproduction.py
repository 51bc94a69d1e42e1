"""The queue of published results: it runs, goes on after a kill, and the page holds what the files hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mien.cli import cli
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError, InputError
from mien.published.recipes.svm import SVM_RECIPES
from mien.published.reproduction import queue as queue_module
from mien.published.reproduction import rows as rows_module
from mien.published.reproduction.learning_curves import curves_svg
from mien.published.reproduction.queue import TRAINED, missing_input, run_queue
from mien.published.reproduction.report_page import (
    learning_curve_images,
    our_figures,
    published_figures,
    reproduction_page,
)
from mien.published.reproduction.results import (
    RowResult,
    curve_path,
    read_curve,
    read_result,
    write_curve,
    write_result,
)
from mien.published.reproduction.rows import OPTIONS, ROWS, SOURCES, ReproductionRow, select_rows
from mien.recipes.catalog import RECIPES
from mien.training import run_folder as files
from mien.training.config import Recipe
from mien.training.curves import read_epochs


def test_every_row_can_be_followed() -> None:
    for row in ROWS.values():
        assert row.source in SOURCES
        if row.recipe is None and row.svm is None:
            assert row.note.startswith("needs UTKFace")
            continue
        assert (row.name in RECIPES) != (row.name in SVM_RECIPES)
        assert row.data in OPTIONS
        assert bool(row.published) != bool(row.improves)
        assert all(0.2 < figure < 1 for figure in row.published.values())
        if row.improves is not None:
            assert row.network == row.improves
            assert row.keep == "best"


def test_every_published_network_of_pixels_is_improved() -> None:
    better = {row.improves for row in ROWS.values()} - {None}
    plain = {row.network for row in ROWS.values() if row.network is not None and not row.features}
    assert {name for name in plain if not name.endswith("-plain")} <= better


def test_both_tables_of_fusion_are_there() -> None:
    assert ROWS["fusion-a"].published == {"test": 0.724}
    assert ROWS["fusion-b-landmarks-sliding"].published == {"test": 0.751}
    # what batch norm gains is subtracted: 73.5 − 39.3
    assert ROWS["fusion-b-plain"].published == {"test": 0.342}
    assert ROWS["fusion-a-landmarks-hog-plain"].published == {"test": 0.668}
    assert len([name for name in ROWS if name.startswith("fusion-") and not name.endswith("-improved")]) == 17


def test_rows_come_cheapest_first() -> None:
    costs = [row.cost for row in select_rows(())]
    assert costs == sorted(costs)
    assert [row.name for row in select_rows(("stack-final", "stack-baseline"))] == ["stack-baseline", "stack-final"]
    with pytest.raises(InputError, match="attention-parallel"):
        select_rows(("nonsense",))


def tiny_data(path: Path, n: int = 70) -> Path:
    rng = np.random.default_rng(0)
    emotion = (np.arange(n) % 7).astype(np.int8)
    images = rng.integers(0, 80, (n, 48, 48, 1)).astype(np.uint8)
    images[emotion == 3] += 150
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(n) % 5]
    # one test picture that is in training too
    images[4] = images[0]
    votes = np.zeros((n, 10), np.int8)
    votes[np.arange(n), emotion] = 10
    info = DatasetInfo("fer2013", "fer2013")
    return write_prepared(Dataset(images, split, np.arange(n, dtype=np.int32), info, emotion, votes), path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes of two short epochs."""

    def short(name: str) -> Recipe:
        return replace(RECIPES[name], epochs=2, batch_size=8, early_stopping=None, precision="float32")

    monkeypatch.setattr(rows_module, "recipe", short)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_data(tmp_path / "fer2013.parquet")


TWO = (replace(ROWS["attention-parallel"], seeds=(0, 1)), ROWS["attention-parallel-improved"])


@pytest.mark.usefixtures("small")
def test_the_queue_runs_what_is_missing(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    out, results = tmp_path / "runs", tmp_path / "results"
    assert run_queue(TWO, {"fer2013": data}, out, results, threads=1, report=lines.append)
    own, better = read_result(results, "attention-parallel"), read_result(results, "attention-parallel-improved")
    assert own is not None
    assert better is not None
    assert own.is_complete(TWO[0])
    assert [run["seed"] for run in own.runs] == [0, 1]
    assert own.runs[0]["scores"] != own.runs[1]["scores"]
    assert set(own.runs[0]["scores"]) == {"validation", "test", "test leak-free"}
    assert own.runs[0]["scores"]["test leak-free"]["n"] == own.runs[0]["scores"]["test"]["n"] - 1
    assert own.runs[0]["kept_epoch"] == 2
    assert own.runs[0]["command"] == "mien reproduce attention-parallel --data fer2013.parquet --threads 1"
    assert own.mean_score("test") == pytest.approx(np.mean([run["scores"]["test"]["accuracy"] for run in own.runs]))
    assert {"fer2013", "fer2013 leak-free", "ferplus", "ferplus leak-free"} == set(better.runs[0]["scores"])
    epochs = read_epochs(out / "attention-parallel-improved" / "seed-0" / files.METRICS)
    assert better.runs[0]["kept_epoch"] == max(epochs, key=lambda one: one["val_score"])["epoch"]
    assert str(tmp_path) not in (results / "attention-parallel.json").read_text()
    assert not list(out.rglob(files.RESUME))
    curve = read_curve(curve_path(results, "attention-parallel", 1))
    assert [row["epoch"] for row in curve] == [1, 2]
    # nothing is left to do
    before = (results / "attention-parallel.json").stat().st_mtime_ns
    assert run_queue(TWO, {"fer2013": data}, tmp_path / "elsewhere", results, threads=1)
    assert (results / "attention-parallel.json").stat().st_mtime_ns == before
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("small")
def test_a_killed_queue_goes_on_with_the_run_it_was_in(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.training import run as run_module

    row = ROWS["attention-parallel"]
    whole = tmp_path / "whole"
    assert run_queue((row,), {"fer2013": data}, whole, whole, threads=1)

    class Killed(Exception):  # noqa: N818
        pass

    original = run_module.RunFolderWriter.on_train_epoch_start

    def dies(self: object, trainer: object, pl_module: object) -> None:
        if trainer.current_epoch == 1:  # type: ignore[attr-defined]
            raise Killed
        original(self, trainer, pl_module)  # type: ignore[arg-type]

    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(run_module.RunFolderWriter, "on_train_epoch_start", dies)
        with pytest.raises(Killed):
            run_queue((row,), {"fer2013": data}, out, out, threads=1)
    folder = out / row.name / "seed-0"
    assert len(read_epochs(folder / files.METRICS)) == 1

    # right behind the last epoch, and between training and scoring, as well
    def trains_and_dies(*arguments: object, **options: object) -> None:
        run_module.train(*arguments, **options)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(queue_module, "fit", trains_and_dies)
        with pytest.raises(Killed):
            run_queue((row,), {"fer2013": data}, out, out, threads=1)
    assert not (folder / TRAINED).is_file()
    with monkeypatch.context() as patch:
        patch.setattr(queue_module, "scores", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run_queue((row,), {"fer2013": data}, out, out, threads=1)
    assert (folder / TRAINED).is_file()
    trained = (folder / files.LAST).stat().st_mtime_ns
    assert run_queue((row,), {"fer2013": data}, out, out, threads=1)
    assert (folder / files.LAST).stat().st_mtime_ns == trained
    one, other = read_result(whole, row.name), read_result(out, row.name)
    assert one is not None
    assert other is not None
    for protocol, figures in one.runs[0]["scores"].items():
        assert other.runs[0]["scores"][protocol]["confusion"] == figures["confusion"]
        assert other.runs[0]["scores"][protocol]["log_loss"] == pytest.approx(figures["log_loss"], abs=1e-5)
    assert len(other.runs[0]["earlier"]) == 2
    assert other.runs[0]["epochs"] == 2


@pytest.mark.usefixtures("small")
def test_time_limits_stop_after_an_epoch(data: Path, tmp_path: Path) -> None:
    row = ROWS["attention-parallel"]
    lines: list[str] = []
    assert not run_queue((row,), {"fer2013": data}, tmp_path, tmp_path, threads=1, hours=1e-9, report=lines.append)
    folder = tmp_path / row.name / "seed-0"
    if folder.exists():
        assert len(read_epochs(folder / files.METRICS)) == 1
    assert read_result(tmp_path, row.name) is None
    assert "time" in lines[-1]
    assert run_queue((row,), {"fer2013": data}, tmp_path, tmp_path, threads=1, hours=1, report=lines.append)


def test_what_cannot_be_run_says_what_it_needs(data: Path, tmp_path: Path) -> None:
    given = {"fer2013": data}
    assert missing_input(ROWS["fusion-a"], given) is None
    assert "--features landmarks,hog-sliding" in str(missing_input(ROWS["fusion-b-landmarks-sliding"], given))
    assert "--clean-data" in str(missing_input(ROWS["attention-deep"], given))
    assert "--age-data" in str(missing_input(ROWS["age-cnn-improved"], given))
    assert "UTKFace" in str(missing_input(ROWS["age-cnn"], given))
    lines: list[str] = []
    rows = (ROWS["attention-deep"], ROWS["age-cnn"])
    assert run_queue(rows, given, tmp_path / "out", tmp_path / "results", report=lines.append)
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()


def test_a_support_vector_machine_is_a_row_too(tmp_path: Path) -> None:
    row = ROWS["svm-hog"]
    assert row.published == {"test": 0.344}
    assert row.features == ("hog",)
    plain = read_prepared(tiny_data(tmp_path / "plain.parquet"))
    hog = np.random.default_rng(0).random((len(plain), 72)).astype(np.float32)
    data = write_prepared(replace(plain, features={"hog": hog}), tmp_path / "features.parquet")
    # what a killed fit left is no obstacle
    (tmp_path / "out" / row.name).mkdir(parents=True)
    (tmp_path / "out" / row.name / files.CONFIG).write_text("{}")
    assert run_queue((row,), {"fer2013": data}, tmp_path / "out", tmp_path / "results")
    result = read_result(tmp_path / "results", row.name)
    assert result is not None
    assert result.is_complete(row)
    assert f"{100 * result.runs[0]['scores']['test']['accuracy']:.1f} %" in our_figures(row, result)
    text = reproduction_page(tmp_path / "results")
    assert f"{result.parameters['support_vectors']} support vectors" in text
    assert "svm-hog.svg" not in text


def test_a_row_that_fails_does_not_stop_the_others(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    def refuses(*arguments: object, **options: object) -> None:
        raise DataError("no such luck")

    monkeypatch.setattr(queue_module, "fit", refuses)
    rows = (ROWS["attention-parallel"], ROWS["attention-sequential"])
    assert not run_queue(rows, {"fer2013": data}, tmp_path, tmp_path, report=lines.append)
    assert [line for line in lines if "no such luck" in line][1].startswith("attention-sequential")


def scored(accuracy: float) -> dict[str, object]:
    labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    return {
        "n": 3589, "accuracy": accuracy, "macro_f1": 0.5, "labels": labels, "one_off": None,
        "recall": dict.fromkeys(labels, 0.25), "confusion": np.arange(49).reshape(7, 7).tolist(),
    }  # fmt: skip


def fabricated(row: ReproductionRow, accuracies: tuple[float, ...]) -> RowResult:
    names = ("fer2013", "fer2013 leak-free", "ferplus") if row.improves else ("validation", "test", "test leak-free")
    runs = tuple(
        {
            "seed": seed, "keep": row.keep, "epochs": 10, "kept_epoch": 9, "seconds_per_epoch": 12.3,
            "cpu_seconds_per_epoch": 10.1,
            "scores": {name: scored(accuracy + 0.01 * i) for i, name in enumerate(names)}, "precision": "float32",
            "processor": "A processor", "gpus": [], "threads": 1, "command": f"mien reproduce {row.name}",
            "commit": "abcdef1234567890", "earlier": [], "date": "2026-01-02", "data_sha256": "0", "packages": {},
        }
        for seed, accuracy in enumerate(accuracies)
    )  # fmt: skip
    return RowResult(row.name, {"trained": 1_234_567, "statistics": 8}, runs)


def test_a_page_without_results_claims_nothing(tmp_path: Path) -> None:
    text = reproduction_page(tmp_path)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len([row for row in ROWS.values() if row.improves is None])
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[4].startswith("not run yet"), line
        assert cells[5] in ("not run yet", "–")
        assert not re.search(r"\d %", "".join(cells[4:]))
    assert learning_curve_images(tmp_path) == {}


def test_the_page_holds_what_the_files_hold(tmp_path: Path) -> None:
    own, better = ROWS["stack-final"], ROWS["stack-final-improved"]
    write_result(tmp_path, fabricated(own, (0.5, 0.6)))
    write_result(tmp_path, fabricated(better, (0.7123,)))
    write_curve(tmp_path, own.name, 0, [{"epoch": 1.0, "val_loss": 2.0, "train_loss": 1.5, "val_x_accuracy": 0.3}] * 2)
    text = reproduction_page(tmp_path)
    line = next(line for line in text.splitlines() if line.startswith("| `stack-final` |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "1,234,567"
    assert cells[3] == "60.37 % validation, 61.05 % test"
    assert cells[4].startswith("55.0 % validation, 56.0 % (57.0 %) test (2 of 4 runs, standard deviation 7.1")
    assert cells[5] == "71.2 % (72.2 %)"
    assert cells[6] == "73.2 %"
    assert "| `mien reproduce stack-final` | 1 | epoch 9 of 10 | 10 | 12 | A processor, 1 thread | float32 |" in text
    assert "| angry | 0 | 1 | 2 |" in text
    assert reproduction_page(tmp_path) == text
    assert list(learning_curve_images(tmp_path)) == ["stack-final.svg"]
    assert "not run yet" in our_figures(ROWS["fusion-a"], None)
    assert published_figures(ROWS["fusion-a"]) == "72.4 % test"


def test_curves_stay_inside_the_picture() -> None:
    rows = [{"epoch": float(i), "train_loss": 3.0 - i, "val_loss": 2.0, "val_a_accuracy": 0.1 * i} for i in range(1, 4)]
    svg = curves_svg(rows, "a row")
    assert svg == curves_svg(rows, "a row")
    assert svg.count("<polyline") == 3
    for points in re.findall(r'points="([^"]+)"', svg):
        for x, y in (pair.split(",") for pair in points.split()):
            assert 0 <= float(x) <= 744
            assert 0 <= float(y) <= 220
    assert curves_svg(rows[:1], "one epoch").count("<polyline") == 3


def test_damaged_results_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "stack-final.json").write_text("{")
    with pytest.raises(DataError, match="delete it"):
        read_result(tmp_path, "stack-final")


def test_the_command_lists_and_refuses(tmp_path: Path) -> None:
    runner = CliRunner()
    write_result(tmp_path, fabricated(ROWS["stack-baseline"], (0.4,)))
    listed = runner.invoke(cli, ["reproduce", "--list", "--results", str(tmp_path), "stack-baseline", "age-cnn"])
    assert listed.exit_code == 0
    assert "40.0 %" in listed.output
    assert "UTKFace" in listed.output
    assert runner.invoke(cli, ["reproduce"]).exit_code == 2


@pytest.mark.usefixtures("small")
def test_the_command_runs_a_row(data: Path, tmp_path: Path) -> None:
    call = ["reproduce", "attention-parallel", "--data", str(data), "--out", str(tmp_path / "o"), "--threads", "1"]
    done = CliRunner().invoke(cli, [*call, "--results", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "r" / "attention-parallel.json").read_text())
    assert document["row"] == "attention-parallel"
    assert document["runs"][0]["data_sha256"]
    assert len(read_prepared(data)) == 70
