"""`mien train --resume`: a run is continued on what it began with, or refused by what differs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.labelled_pictures import fabricated
from helpers.tiny_recipe import TINY, metrics_of
from mien.datasets.prepared_file import write_prepared
from mien.errors import InputError, MissingFileError, OutputError, TrainingError
from mien.file_lock import lock_folder
from mien.training import run_folder as files
from mien.training.config import HeadSpec
from mien.training.resumption import FINISHED, count_epochs, find_start
from mien.training.run import train

PLAIN = replace(TINY, augment=replace(TINY.augment, flip=0.0, mixup=0.2))
QUIET: dict[str, Any] = {"threads": 1, "progress": False}


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run of three epochs."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def other_data(tmp_path: Path) -> Path:
    path = tmp_path / "other.parquet"
    write_prepared(fabricated(seed=5), path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def environment(folder: Path) -> Any:
    return json.loads((folder / files.ENVIRONMENT).read_text())


def test_a_folder_with_a_run_is_refused_without_resume(run: Path, data: Path) -> None:
    before = contents(run)
    with pytest.raises(TrainingError, match="holds a run already; give another --out, or --resume") as caught:
        train(PLAIN, data, run, **QUIET)
    assert caught.value.code == "run-exists"
    (run / files.CONFIG).unlink()
    with pytest.raises(TrainingError, match=r"is not empty; give another --out$"):
        train(PLAIN, data, run, **QUIET)
    assert contents(run) == {name: content for name, content in before.items() if name != files.CONFIG}


def test_other_data_is_refused_by_name_and_nothing_is_relabelled(run: Path, data: Path, other_data: Path) -> None:
    before = contents(run)
    sha256 = environment(run)["data"]["sha256"][:8]
    for recipe in (PLAIN, replace(PLAIN, epochs=5)):
        with pytest.raises(
            TrainingError, match=rf"\(data: fabricated\.parquet \(SHA-256 {sha256}…\), now other\.parquet \(SHA-256"
        ) as caught:
            train(recipe, other_data, run, resume=True, **QUIET)
        assert caught.value.code == "run-differs"
    assert contents(run) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 7}, r"\(seed: \d+, now 7\)"),
        ({"batch_size": 8, "ema": None}, r"\(batch_size: 16, now 8; ema: 0\.9, now none\)"),
        ({"heads": (HeadSpec("emotion", ("a", "b"), "crossentropy"),)}, r"\(heads: 2 of them, now 1 of them\)"),
        ({"optimizer": replace(PLAIN.optimizer, lr=1.0)}, r"\(lr: 0\.003, now 1\.0\)"),
    ],
)
def test_another_recipe_or_head_is_refused_by_what_differs(change: dict[str, Any], words: str, run: Path) -> None:
    with pytest.raises(TrainingError, match=words):
        find_start(replace(PLAIN, **change), {"data": environment(run)["data"]}, run, resume=True)


def test_a_file_that_was_renamed_is_the_same_data(run: Path) -> None:
    renamed = environment(run)["data"] | {"file": "moved.parquet"}
    assert find_start(PLAIN, {"data": renamed}, run, resume=True).finished


def test_another_teacher_or_start_is_a_difference(run: Path) -> None:
    data = environment(run)["data"]
    for name in ("teacher", "initial"):
        with pytest.raises(TrainingError, match=rf"\({name}: none, now t.onnx \(SHA-256 abcdefab…\)\)"):
            find_start(PLAIN, {"data": data, name: {"file": "t.onnx", "sha256": "abcdefabcd"}}, run, resume=True)


def test_a_complete_run_stays_as_it_is(run: Path, data: Path) -> None:
    assert FINISHED in environment(run)
    before = contents(run)
    assert train(PLAIN, data, run, resume=True, **QUIET) == run
    assert contents(run) == before


def test_a_run_can_be_lengthened_but_not_below_what_it_has(run: Path, data: Path) -> None:
    with pytest.raises(TrainingError, match="has 3 epochs already; give --epochs 3 or more, or another --out"):
        train(replace(PLAIN, epochs=2), data, run, resume=True, **QUIET)
    three = metrics_of(run)
    train(replace(PLAIN, epochs=5), data, run, resume=True, **QUIET)
    rows = metrics_of(run)
    assert rows[:3] == three
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    assert json.loads((run / files.CONFIG).read_text())["epochs"] == 5
    assert environment(run)["earlier"][0]["epochs"] == 3
    assert FINISHED in environment(run)


@pytest.mark.parametrize("failure", ["data", "data-damaged", "teacher", "recipe", "first-epoch"])
def test_a_failed_start_is_in_nobodys_way(
    failure: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.training import run as module

    folder = tmp_path / "run"
    bad = tmp_path / "bad.parquet"
    if failure == "data-damaged":
        bad.write_bytes(b"PAR1")
    with monkeypatch.context() as patch:
        if failure == "first-epoch":
            patch.setattr(module.RunFolderWriter, "on_train_epoch_start", lambda *_: 1 / 0)
        with pytest.raises((InputError, MissingFileError, ZeroDivisionError, ValueError)):
            train(
                PLAIN,
                bad if failure.startswith("data") else data,
                folder,
                teacher=tmp_path / "nowhere" if failure == "teacher" else None,
                initial=tmp_path / "nowhere.onnx" if failure == "recipe" else None,
                **QUIET,
            )
    if failure != "first-epoch":
        assert not folder.exists()
    # other settings: nothing of the failed start counts
    train(replace(PLAIN, epochs=1, seed=3), data, folder, **QUIET)
    assert count_epochs(folder) == 1
    assert environment(folder)["earlier"] == []


def test_a_second_process_is_refused(run: Path, data: Path) -> None:
    lock = lock_folder(run)
    with pytest.raises(InputError, match="another run is writing to it"):
        train(replace(PLAIN, epochs=4), data, run, resume=True, **QUIET)
    lock.release()
    assert count_epochs(run) == 3


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_run_and_it_resumes(number: int, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    handler = signal.getsignal(signal.SIGINT)

    def ask(row: Any) -> bool:
        if row["epoch"] == 1:
            os.kill(os.getpid(), number)
        return True

    expected = KeyboardInterrupt if number == signal.SIGINT else TrainingError
    with pytest.raises(expected):
        train(PLAIN, data, folder, on_epoch=ask, **QUIET)
    assert signal.getsignal(signal.SIGINT) is handler
    assert 0 < count_epochs(folder) < 3
    train(PLAIN, data, folder, resume=True, **QUIET)
    assert count_epochs(folder) == 3


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_is_one_error_and_the_run_resumes(data: Path, tmp_path: Path) -> None:
    import resource

    folder = tmp_path / "run"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(row: Any) -> bool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        return True

    try:
        with pytest.raises(OutputError, match="cannot be written: File too large"):
            train(PLAIN, data, folder, on_epoch=fill, **QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    train(PLAIN, data, folder, resume=True, **QUIET)
    assert count_epochs(folder) == 3
