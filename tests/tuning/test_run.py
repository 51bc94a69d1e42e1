"""Searches: they find, resume, share a database, and survive kills."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.searches import QUICK, document, pictures, search, settings
from helpers.waiting import wait_until
from mien.cli import cli
from mien.datasets.prepared_file import read_prepared
from mien.datasets.subsets import subsample
from mien.errors import DataError, TrainingError
from mien.training import run_folder as files
from mien.training.config import Recipe
from mien.training.curves import read_epochs
from mien.training.recipe_file import read_recipe, write_recipe
from mien.training.run import train
from mien.tuning import run as tuning
from mien.tuning.results import HISTORY, IMPORTANCE, SETTINGS, STUDY, TRIALS, write_best_recipe
from mien.tuning.storage import database_url

POSTGRES = os.environ.get("MIEN_POSTGRES")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Replaces training by figures that follow from the learning rate; gives the recipes that were trained."""
    seen: list[Recipe] = []

    def quick(recipe: Recipe, data: Path, folder: Path, *, on_epoch: Callable[..., bool], **options: Any) -> Path:
        seen.append(recipe)
        folder.mkdir(parents=True)
        (folder / files.CONFIG).write_text("{}")
        score = 1 - abs(np.log10(recipe.optimizer.lr) + 2) / 3
        for epoch in range(1, recipe.epochs + 1):
            row = {"epoch": epoch, "val_score": score * epoch / recipe.epochs, "val_loss": 1 - score, "train_loss": 0.1}
            if not on_epoch(row):
                break
        return folder

    monkeypatch.setattr(tuning, "train", quick)
    return seen


def test_a_search_trains_for_real_and_its_recipe_can_be_trained(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    one = search(data, tmp_path / "out", images=30, trials=3)
    tuning.tune(one, report=lines.append)
    reported = document(one.folder)
    assert len(reported["trials"]) == len(lines) == 3
    assert reported["trials"][0]["settings"] == {"optimizer.lr": 1e-3, "batch_size": 16, "augment.flip": 0.0}
    assert reported["own"] == reported["trials"][0]["score"]
    assert reported["best"]["score"] == max(row["score"] for row in reported["trials"] if row["state"] == "complete")
    assert lines[-1].startswith("[3/3] trial 2")
    assert f"in trial {reported['best']['number']}" in lines[-1]
    for name in (HISTORY, SETTINGS):
        assert (one.folder / name).read_bytes().startswith(b"\x89PNG")
    with (one.folder / TRIALS).open() as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    # of the run folders the best one's is left, and it is a run folder like any other
    (left,) = (one.folder / "trials").iterdir()
    assert reported["best"]["run"] == f"trials/{left.name}"
    assert files.load_run(left)[0].splits.validation == ("validation",)

    tuned = write_best_recipe(one, tmp_path / "tuned.json")
    assert tuned.name == "quick-tuned"
    assert tuned.optimizer.lr == reported["best"]["settings"]["optimizer.lr"]
    assert (tuned.epochs, tuned.splits, tuned.space) == (QUICK.epochs, QUICK.splits, QUICK.space)
    arguments = ["train", str(tmp_path / "tuned.json"), "--data", str(data), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(cli, [*arguments, "--no-progress", "--threads", "1"], catch_exceptions=False)
    assert result.stdout.strip() == str(tmp_path / "run")
    assert "next: mien evaluate" in result.stderr
    assert files.load_run(tmp_path / "run")[0] == tuned
    # the settings do what they did in the search: the same seed, data and epochs give the same figures
    sample = next(one.folder.glob("sample-*.parquet"))
    again = train(one.trial_recipe(reported["best"]["settings"]), sample, tmp_path / "again", threads=1, progress=False)
    assert [row["val_score"] for row in read_epochs(again / files.METRICS)] == pytest.approx(
        reported["trials"][reported["best"]["number"]]["scores"], abs=1e-6
    )


def test_the_same_seed_tries_the_same_settings(data: Path, tmp_path: Path, trained: list[Recipe]) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        tuning.tune(search(data, tmp_path / name, trials=8, seed=seed))
    one, two, three = (settings(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two != three
    assert len({json.dumps(each) for each in one}) == 8
    assert (tmp_path / "one" / IMPORTANCE).is_file()
    shares = document(tmp_path / "one")["importance"]
    assert next(iter(shares)) == "optimizer.lr"
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)


def test_an_interrupted_search_ends_like_one_that_was_not(
    data: Path, tmp_path: Path, trained: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning.tune(search(data, tmp_path / "whole", trials=6))
    tuning.tune(search(data, tmp_path / "parts", trials=3))
    quick = tuning.train

    def stopped(*arguments: Any, **options: Any) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(search(data, tmp_path / "parts", trials=6), resume=True)
    monkeypatch.setattr(tuning, "train", quick)
    tuning.tune(search(data, tmp_path / "parts", trials=6), resume=True)
    assert document(tmp_path / "parts")["tried_again"] == 1
    tried = {json.dumps(one) for one in settings(tmp_path / "parts")}
    assert len(tried) == 6
    assert json.dumps(settings(tmp_path / "whole")[3]) in tried  # those that were interrupted
    assert len(trained) == 12
    # with all of them done, one more call trains nothing and keeps everything
    tuning.tune(search(data, tmp_path / "parts", trials=6), resume=True)
    assert len(trained) == 12


def test_hopeless_trials_are_ended_early(data: Path, tmp_path: Path, trained: list[Recipe]) -> None:
    tuning.tune(search(data, tmp_path / "out", trials=20, epochs=4))
    rows = document(tmp_path / "out")["trials"]
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    assert all(row["reason"] == "pruned" and len(row["scores"]) < 4 for row in pruned)
    assert max(row["score"] for row in pruned) < document(tmp_path / "out")["best"]["score"]


def test_a_diverged_trial_is_a_result_and_other_failures_are_not(
    data: Path, tmp_path: Path, trained: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tuning.train

    def diverges(recipe: Recipe, data: Path, folder: Path, *, on_epoch: Callable[..., bool], **options: Any) -> Path:
        if len(trained) == 1:
            on_epoch({"epoch": 1, "val_score": 0.1, "val_loss": 9.0, "train_loss": float("nan")})
            trained.append(recipe)
            raise TrainingError("the loss is not finite")
        return quick(recipe, data, folder, on_epoch=on_epoch, **options)

    monkeypatch.setattr(tuning, "train", diverges)
    tuning.tune(search(data, tmp_path / "out"))
    row = document(tmp_path / "out")["trials"][1]
    assert (row["state"], row["reason"]) == ("pruned", "diverged")

    def full(*arguments: Any, **options: Any) -> Path:
        raise DataError("the disk is full")

    monkeypatch.setattr(tuning, "train", full)
    with pytest.raises(DataError, match="disk"):
        tuning.tune(search(data, tmp_path / "out", trials=5), resume=True)
    monkeypatch.setattr(tuning, "train", quick)
    tuning.tune(search(data, tmp_path / "out", trials=5), resume=True)
    assert document(tmp_path / "out")["states"] == {"complete": 4, "pruned": 1}


def test_no_finished_trial_gives_no_recipe(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(recipe: Recipe, data: Path, folder: Path, *, on_epoch: Callable[..., bool], **options: Any) -> Path:
        on_epoch({"epoch": 1, "val_score": 0.1, "val_loss": 9.0, "train_loss": float("inf")})
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(tuning, "train", diverges)
    one = search(data, tmp_path / "out", trials=2)
    with pytest.raises(TrainingError, match=r"no trial finished.*diverged"):
        tuning.tune(one)
    with pytest.raises(TrainingError, match="no trial finished"):
        write_best_recipe(one, tmp_path / "tuned.json")
    assert not (tmp_path / "tuned.json").exists()


def test_test_images_are_never_seen(data: Path, tmp_path: Path, trained: list[Recipe]) -> None:
    from mien.published.recipes.recipe_parts import BOTH_TESTS

    one = search(data, tmp_path / "out", trials=1, images=12, recipe=replace(QUICK, splits=BOTH_TESTS))
    tuning.tune(one)
    assert trained[0].splits.validation == ("validation",)
    (sample,) = one.folder.glob("sample-12-0-*.parquet")
    part = read_prepared(sample)
    assert dict(zip(*np.unique(part.split, return_counts=True), strict=True)) == {"train": 12, "validation": 12}
    assert set(part.row) == set(subsample(pictures(), 12, 0, splits=("train", "validation")).row)
    assert set(part.row) != set(subsample(pictures(), 12, 1, splits=("train", "validation")).row)


def test_another_search_of_the_same_name_is_refused(data: Path, tmp_path: Path, trained: list[Recipe]) -> None:
    one = search(data, tmp_path / "out", trials=1)
    tuning.tune(one)
    with pytest.raises(TrainingError, match="--resume"):
        tuning.tune(one)
    with pytest.raises(TrainingError, match=r"recipe\.epochs 2, not 3"):
        tuning.tune(replace(one, epochs=3), resume=True)
    with pytest.raises(TrainingError, match=r"recipe\.name .*another --study"):
        tuning.tune(replace(one, recipe=replace(QUICK, name="other")), resume=True)
    assert len(trained) == 1


def test_ctrl_c_reports_how_the_search_continues(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "train", interrupted)
    recipe, out = tmp_path / "quick.json", tmp_path / "out"
    write_recipe(QUICK, recipe, {})
    done = CliRunner().invoke(cli, ["tune", str(recipe), "--data", str(data), "--out", str(out)])
    assert done.exit_code == 130
    last = done.stderr.splitlines()[-1]
    assert last == f"mien: {out}: interrupted; the same call with --resume continues the search"


def recipe_in(folder: Path) -> Path:
    path = folder / "quick.json"
    if not path.exists():
        write_recipe(QUICK, path, {})
    return path


def start(data: Path, folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """A worker as a user starts it."""
    path = recipe_in(folder)
    command = [sys.executable, "-m", "mien", "tune", str(path), "--data", str(data), "--out", str(out)]
    command += ["--threads", "1", "--resume", "--study", "shared", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def two_workers(data: Path, tmp_path: Path, storage: str, trials: int = 6) -> None:
    """Two processes on one database: no settings twice, none left out, both end with the same results."""
    lines: list[str] = []
    workers: list[subprocess.Popen[str]] = []

    def report(line: str) -> None:
        """After the first trial here another worker starts, and nothing goes on before it has ended one as well."""
        lines.append(line)
        if line.startswith("[") and not workers:
            workers.append(start(data, tmp_path, tmp_path / "a", "--storage", storage, "--trials", str(trials)))
            wait_until(lambda: workers[0].poll() is not None or (tmp_path / "a" / STUDY).exists(), 120)

    own = read_recipe(recipe_in(tmp_path))
    url = database_url(storage, tmp_path)
    here = search(data, tmp_path / "b", recipe=own, url=url, study="shared", trials=trials, heartbeat=10)
    try:
        tuning.tune(here, resume=True, report=report)
        (worker,) = workers
        output, errors = worker.communicate(timeout=120)
    finally:
        for worker in workers:
            worker.kill()
    assert worker.returncode == 0, errors
    assert output == f"{tmp_path / 'a'}\n"
    one, other = document(tmp_path / "a"), document(tmp_path / "b")
    assert len(one["trials"]) == trials
    assert [row["settings"] for row in one["trials"]] == [row["settings"] for row in other["trials"]]
    assert len({json.dumps(row["settings"]) for row in one["trials"]}) == trials
    assert one["best"]["number"] == other["best"]["number"]
    assert len([line for line in [*errors.splitlines(), *lines] if line.startswith("[")]) == trials
    assert one["workers"] == 2


def test_two_workers_share_a_sqlite_file(data: Path, tmp_path: Path) -> None:
    two_workers(data, tmp_path, f"sqlite:///{tmp_path}/shared.db")


@pytest.mark.skipif(POSTGRES is None, reason="MIEN_POSTGRES gives no address of a PostgreSQL database")
def test_two_workers_share_postgresql(data: Path, tmp_path: Path) -> None:
    import psycopg

    assert POSTGRES is not None
    schema = f"mien_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            joined = "&" if "?" in POSTGRES else "?"
            two_workers(data, tmp_path, f"{POSTGRES}{joined}options=-csearch_path%3D{schema}")
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def running(path: Path) -> list[int]:
    """Numbers of the trials that run, read past Optuna."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM trials WHERE state = 'RUNNING'")]


def test_killed_in_a_trial_its_settings_are_tried_again(data: Path, tmp_path: Path, trained: list[Recipe]) -> None:
    path, out = tmp_path / "shared.db", tmp_path / "out"
    worker = start(data, tmp_path, out, "--storage", f"sqlite:///{path}", "--trials", "500", "--jobs", "2")

    def busy() -> bool:
        """Two trials are done, and another is running."""
        with contextlib.suppress(sqlite3.Error, ValueError, OSError):
            return len(document(out)["trials"]) >= 2 and bool(running(path))
        return False

    try:
        wait_until(lambda: worker.poll() is not None or busy(), 120)
    finally:
        worker.kill()
        # the second worker ends with the first, or its end of the pipe would stay open
        worker.communicate(timeout=60)
    cut = running(path)
    done = [row for row in document(out)["trials"] if row["state"] in ("complete", "pruned")]
    assert worker.returncode == -signal.SIGKILL
    assert len(cut) in (1, 2)
    lines: list[str] = []
    own = read_recipe(tmp_path / "quick.json")
    wanted = max(cut) + 2
    same = search(data, out, recipe=own, url=database_url(f"sqlite:///{path}", out), study="shared", trials=wanted)
    tuning.tune(same, resume=True, report=lines.append)
    reported = document(out)
    for number in cut:
        assert f"trial {number} was cut off; its settings will be tried again" in lines
    kept = {row["number"]: row for row in reported["trials"]}
    assert all(kept[row["number"]] == row for row in done)
    assert not set(cut) & set(kept)
    assert sorted(row["again_after"] for row in reported["trials"] if row["again_after"]) == [
        [number] for number in cut
    ]
    assert len(reported["trials"]) == reported["states"]["complete"] + reported["states"].get("pruned", 0) == wanted
    assert len({json.dumps(row["settings"]) for row in reported["trials"]}) == wanted
