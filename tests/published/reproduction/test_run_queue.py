from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.reproduction import tiny_fer2013
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError, TrainingError
from mien.labels import OWN, SEVEN_AGE_RANGES, age_bin_names
from mien.published.reproduction import published_results
from mien.published.reproduction import run_queue as queue_module
from mien.published.reproduction.published_results import ROWS
from mien.published.reproduction.report_page import (
    our_figures,
    reproduction_page,
)
from mien.published.reproduction.results import (
    curve_path,
    read_curve,
    read_result,
)
from mien.published.reproduction.run_queue import TRAINED, missing_input, run_queue
from mien.recipes.catalog import get_recipe
from mien.training import run_folder as files
from mien.training.curves import read_epochs
from mien.training.run import STOPPED

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
def test_a_killed_queue_resumes_its_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        patch.setattr(queue_module, "train", trains_and_dies)
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
    # training had two parts; scoring again adds none, because a complete run is not trained
    assert [part["epochs"] for part in other.runs[0]["earlier"]] == [2]
    assert other.runs[0]["epochs"] == 2


@pytest.mark.usefixtures("small")
def test_time_limits_stop_after_an_epoch(data: Path, tmp_path: Path) -> None:
    row = ROWS["attention-parallel"]
    lines: list[str] = []
    assert not run_queue((row,), {"fer2013": data}, tmp_path, tmp_path, threads=1, hours=1e-9, report=lines.append)
    assert "the same call continues the run" in lines[-1]
    assert not any("--resume" in line for line in lines)  # which the command does not have
    folder = tmp_path / row.name / "seed-0"
    if folder.exists():
        assert len(read_epochs(folder / files.METRICS)) == 1
    assert read_result(tmp_path, row.name) is None
    assert "time" in lines[-1]
    assert run_queue((row,), {"fer2013": data}, tmp_path, tmp_path, threads=1, hours=1, report=lines.append)


def test_rows_that_cannot_run_report_what_they_need(data: Path, tmp_path: Path) -> None:
    given = {"fer2013": data}
    assert missing_input(ROWS["fusion-a"], given) is None
    assert "--features landmarks,hog-sliding" in str(missing_input(ROWS["fusion-b-landmarks-sliding"], given))
    assert "--clean-data" in str(missing_input(ROWS["attention-deep"], given))
    assert "--age-data" in str(missing_input(ROWS["age-cnn-improved"], given))
    assert "--utkface-data" in str(missing_input(ROWS["age-cnn"], given))
    lines: list[str] = []
    rows = (ROWS["attention-deep"], ROWS["age-cnn"])
    assert run_queue(rows, given, tmp_path / "out", tmp_path / "results", report=lines.append)
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()


def test_a_support_vector_machine_is_a_row_too(tmp_path: Path) -> None:
    row = ROWS["svm-hog"]
    assert row.published == {"test": 0.344}
    assert row.features == ("hog",)
    plain = read_prepared(tiny_fer2013(tmp_path / "plain.parquet"))
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

    monkeypatch.setattr(queue_module, "train", refuses)
    rows = (ROWS["attention-parallel"], ROWS["attention-sequential"])
    assert not run_queue(rows, {"fer2013": data}, tmp_path, tmp_path, report=lines.append)
    assert [line for line in lines if "no such luck" in line][1].startswith("attention-sequential")


@pytest.mark.usefixtures("small")
def test_a_process_that_is_asked_to_end_starts_no_other_row(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []

    def stopped(*arguments: object, **options: object) -> None:
        started.append(Path(str(arguments[2])))
        raise TrainingError("was asked to end", code=STOPPED)

    monkeypatch.setattr(queue_module, "train", stopped)
    lines: list[str] = []
    assert not run_queue(TWO, {"fer2013": data}, tmp_path / "runs", tmp_path / "results", report=lines.append)
    assert started == [tmp_path / "runs" / "attention-parallel" / "seed-0"]
    assert "was asked to end" in lines[-1]


def test_an_age_network_learns_the_ranges_of_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chosen and scored on the images held out, under the name that the source gives them."""
    rng = np.random.default_rng(0)
    n = 21
    split = np.array(["train", "train", "validation"])[np.arange(n) % 3]
    info = DatasetInfo("combined-faces", OWN, classes=age_bin_names(SEVEN_AGE_RANGES))
    images = rng.integers(0, 256, (n, 24, 24, 1)).astype(np.uint8)
    faces = Dataset(images, split, np.arange(n, dtype=np.int32), info, (np.arange(n) % 7).astype(np.int8))
    path = write_prepared(faces, tmp_path / "ranges.parquet")
    row = ROWS["age-cnn-small"]
    monkeypatch.setattr(published_results, "get_recipe", lambda name: replace(get_recipe(name), epochs=3))
    assert run_queue((row,), {"utkface": path}, tmp_path / "out", tmp_path / "results", threads=1)
    result = read_result(tmp_path / "results", row.name)
    assert result is not None
    assert result.parameters["trained"] == 64_983
    assert result.runs[0]["scores"].keys() == {"validation"}
    assert result.runs[0]["scores"]["validation"]["n"] == 7
    assert result.runs[0]["command"].startswith("mien reproduce age-cnn-small --utkface-data ranges.parquet")
    assert "validation" in our_figures(row, result)
