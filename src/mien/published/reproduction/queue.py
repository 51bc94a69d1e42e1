"""Trains and scores what is missing, cheapest row first. Killed at any moment, the next call goes on where it was."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.prepared_file import FEATURE_PREFIX, read_column_names, read_prepared
from mien.errors import MienError
from mien.evaluation.metrics import score_probabilities
from mien.evaluation.predictions import LEAK_FREE, subset_name
from mien.evaluation.scoring.evaluate import evaluate, open_model, predict
from mien.networks.catalog import network
from mien.published import svm
from mien.published.reproduction.results import RowResult, parse_result, read_result, write_curve, write_result
from mien.published.reproduction.rows import OPTIONS, DatasetKey, ReproductionRow
from mien.training import checkpoint as files
from mien.training.config import Recipe
from mien.training.curves import read_rows
from mien.training.data import role_of
from mien.training.run import bf16_supported, fit

TRAINED = "trained.json"
"""Stands in a run folder whose training is over."""
Say = Callable[[str], None]


def run_queue(
    rows: Sequence[ReproductionRow],
    data: Mapping[DatasetKey, Path],
    out: Path,
    results: Path,
    *,
    threads: int | None = None,
    hours: float | None = None,
    progress: bool = False,
    say: Say = lambda line: None,
) -> bool:
    """Run every row that has no result yet.

    Args:
        rows: in the order they are to be run.
        data: what data → the prepared file.
        out: folder of the run folders.
        results: folder of the result files.
        threads: processor threads, None for torch's own choice.
        hours: end after the epoch in which so much time has passed, None for no limit.
        progress: show a progress bar on stderr.
        say: takes one line about what is done.

    Returns:
        Whether every row that could be run has its result.
    """
    started, whole = time.monotonic(), True
    loaded: dict[Path, Dataset] = {}
    for row in rows:
        result = read_result(results, row.name)
        if result is not None and result.complete(row):
            continue
        missing = missing_input(row, data)
        if missing is not None:
            say(f"{row.name}: left out, {missing}")
            continue
        for seed in row.seeds:
            if result is not None and result.run(seed) is not None:
                continue
            left = None if hours is None else hours * 3600 - (time.monotonic() - started)
            if left is not None and left <= 0:
                say("the time is up; call again to go on")
                return False
            try:
                if row.machine is not None:
                    result = _run_machine(row, data[row.data], out, results, say)
                else:
                    result = _run(row, seed, data[row.data], out, results, loaded, threads, left, progress, say)
            except MienError as error:
                say(f"{row.name}, seed {seed}: {error}")
                whole = False
                break
    return whole


def missing_input(row: ReproductionRow, data: Mapping[DatasetKey, Path]) -> str | None:
    """What a row needs and has not got, for people; None where it can be run."""
    if row.recipe is None and row.machine is None:
        return row.note
    path = data.get(row.data)
    if path is None:
        return f"give its data with {OPTIONS[row.data]}"
    have = read_column_names(path)
    features = [name for name in row.features if FEATURE_PREFIX + name not in have]
    if not features:
        return None
    asked = ",".join(features).replace("_", "-")
    return f"its data lacks features: `mien data prepare {path.name} --features {asked} --out …` adds them"


def _run(
    row: ReproductionRow,
    seed: int,
    data: Path,
    out: Path,
    results: Path,
    loaded: dict[Path, Dataset],
    threads: int | None,
    seconds: float | None,
    progress: bool,
    say: Say,
) -> RowResult:
    """Train one seed of a row, or go on with it, score it, and write the row's file."""
    recipe = row.recipe
    if recipe is None:
        raise ValueError(f"{row.name} has no recipe")
    recipe = replace(recipe, seed=seed)
    folder = out / row.name / f"seed-{seed}"
    command = _command(row, data)
    if threads is not None:
        command += f" --threads {threads}"
    if not (folder / TRAINED).is_file():
        say(f"{row.name}, seed {seed}: training, {recipe.epochs} epochs")
        fit(recipe, data, folder, resume=True, threads=threads, progress=progress, command=command, seconds=seconds)
        files.write_json(folder / TRAINED, {"finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        # what a resumed run needs is the largest file, and this run is over
        (folder / files.RESUME).unlink(missing_ok=True)
    if data not in loaded:
        loaded.clear()
        loaded[data] = read_prepared(data)
    facts = files.read_json(folder / files.ENVIRONMENT)
    epochs = read_rows(folder / files.METRICS)
    one: dict[str, Any] = {
        "seed": seed,
        "keep": row.keep,
        "epochs": len(epochs),
        "kept_epoch": _kept(row, recipe, epochs),
        "scores": scores(row, recipe, loaded[data], folder, threads),
        "seconds_per_epoch": round(median(each["seconds"] for each in epochs), 1),
        "cpu_seconds_per_epoch": round(median(each["cpu_seconds"] for each in epochs), 1),
        "precision": "bf16" if recipe.precision == "bf16" or _automatic(recipe) else "float32",
        "processor": facts["processor"],
        "gpus": facts["gpus"],
        "threads": facts["threads"],
        "command": command,
        "commit": facts["commit"],
        "earlier": facts["earlier"],
        "date": files.read_json(folder / TRAINED)["finished"][:10],
        "data_sha256": facts["data"]["sha256"],
        "packages": facts["packages"],
    }
    before = read_result(results, row.name)
    runs = (*(() if before is None else before.runs), one)
    result = RowResult(row.name, _parameters(recipe), runs)
    write_curve(results, row.name, seed, epochs)
    write_result(results, result)
    say(f"{row.name}, seed {seed}: {_figures(one)}")
    return result


def _run_machine(row: ReproductionRow, data: Path, out: Path, results: Path, say: Say) -> RowResult:
    """Fit a support-vector machine, which is not resumed but begun again, and write the row's file."""
    machine = row.machine
    if machine is None:
        raise ValueError(f"{row.name} is no support-vector machine")
    folder = out / row.name
    if not (folder / svm.RESULT).is_file():
        if (folder / files.CONFIG).is_file():
            # what an interrupted fit left
            shutil.rmtree(folder)
        say(f"{row.name}: fitting")
        svm.fit_svm(machine, data, folder, command=_command(row, data))
    result = parse_result(files.read_json(folder / svm.RESULT))
    write_result(results, result)
    say(f"{row.name}: {_figures(result.runs[0])}")
    return result


def _command(row: ReproductionRow, data: Path) -> str:
    return f"mien reproduce {row.name} {OPTIONS[row.data]} {data.name}"


def _figures(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {each['accuracy']:.2%}" for name, each in run["scores"].items())


def scores(
    row: ReproductionRow, recipe: Recipe, data: Dataset, folder: Path, threads: int | None = None
) -> dict[str, Any]:
    """Every figure of a finished run: protocol → `Scores` as a dictionary.

    Rows under a source's own protocol have "validation" and "test" (the roles of the recipe, "test" alone where both
    are the same images); Mien's have "ferplus", "fer2013" or "age". Each has "… leak-free" beside it where some of its
    images stand in the training set too.
    """
    model = open_model(folder / (files.BEST if row.keep == "best" else files.LAST), threads)
    if row.improves is not None:
        split = "validation" if row.data == "fairface" else "test"
        return dict(evaluate(model, data, split=split)["results"])
    head = recipe.heads[0]
    dirty = set(data.row[leaked_rows(data)].tolist())
    same = recipe.splits.validation == recipe.splits.test
    table: dict[str, Any] = {}
    for role in ("test",) if same else ("validation", "test"):
        part, targets = role_of(data, recipe, role)
        truth = targets[head.name].label
        probabilities = predict(model, part)[head.name]
        clean = ~np.isin(part.row, list(dirty))
        for name, rows in ((role, truth >= 0), (subset_name(role, LEAK_FREE), (truth >= 0) & clean)):
            if name == role or not clean.all():
                table[name] = score_probabilities(probabilities[rows], truth[rows], head.labels).to_dict()
    return table


def _automatic(recipe: Recipe) -> bool:
    return recipe.precision == "auto" and bf16_supported()


def _kept(row: ReproductionRow, recipe: Recipe, epochs: Sequence[Mapping[str, float]]) -> int:
    """The epoch, from 1, whose weights are scored."""
    if row.keep == "last":
        return int(epochs[-1]["epoch"])
    by = (lambda one: one["val_score"]) if recipe.select == "score" else (lambda one: -one["val_loss"])
    return int(max(epochs, key=by)["epoch"])


def _parameters(recipe: Recipe) -> dict[str, int]:
    module = network(recipe.network).module(recipe.head_sizes, recipe.dropout)
    statistics = sum(b.numel() for name, b in module.named_buffers() if "running" in name)
    return {"trained": sum(p.numel() for p in module.parameters()), "statistics": statistics}
