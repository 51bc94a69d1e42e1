"""`mien.training.progress`: what a training prints, and that it changes nothing."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.labelled_pictures import pictures
from helpers.tiny_recipe import TINY, metrics_of
from mien.datasets.prepared_file import write_prepared
from mien.recipes.classes import classes_recipe
from mien.training import progress as module
from mien.training.progress import describe_best, describe_scores
from mien.training.run import train

SMALL = replace(classes_recipe(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), own=False),
                network="stack-baseline", epochs=3, batch_size=16, precision="float32")  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_run_prints_what_it_takes_and_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    data = write_prepared(pictures(60), tmp_path / "data.parquet")
    train(SMALL, data, tmp_path / "run", threads=1)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"classes: 3 epochs of 36 training and 12 validation images on 1 processor thread, "
        r"about .*(s|min) per epoch, .*(s|min) in all",
        lines[0],
    )
    for i in (1, 2):
        assert re.fullmatch(
            rf"epoch {i} of 3: loss [\d.]+, validation loss [\d.]+, validation accuracy [\d.]+ %, .+ left", lines[i]
        )
    assert re.fullmatch(r"epoch 3 of 3: loss [\d.]+, validation loss [\d.]+, validation accuracy [\d.]+ %", lines[3])
    assert re.fullmatch(r"best epoch [123] of 3: validation accuracy [\d.]+ %", describe_best(SMALL, tmp_path / "run"))
    quiet = train(SMALL, data, tmp_path / "quiet", threads=1, progress=False)
    assert capsys.readouterr().err == ""
    times = ("seconds", "cpu_seconds")
    shown, unshown = (
        [{key: value for key, value in row.items() if key not in times} for row in metrics_of(folder)]
        for folder in (tmp_path / "run", quiet)
    )
    assert shown == unshown


def test_a_terminal_has_one_line_within_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFRESH", 0.0)
    stream = Terminal()
    monkeypatch.setattr(module.sys, "stderr", stream)
    data = write_prepared(pictures(60), tmp_path / "data.parquet")
    train(replace(SMALL, epochs=1), data, tmp_path / "run", threads=1)
    text = stream.getvalue()
    assert re.search(r"\r\x1b\[Kepoch 1 of 1: 50 %, loss [\d.]+", text)
    assert "\r\x1b[Kepoch 1 of 1: loss" in text


def test_scores_of_several_heads_are_named() -> None:
    metrics = {"val_ferplus_accuracy": 0.871, "val_fer2013_accuracy": 0.65}
    assert describe_scores(TINY, metrics) == "validation accuracy 87.1 % (ferplus), 65.0 % (fer2013)"
    assert describe_scores(TINY, {}) == ""
