"""Train and score what is missing, cheapest row first. When killed at any moment, the next call resumes."""

from __future__ import annotations

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
from mien.evaluation.scoring.evaluate import evaluate
from mien.evaluation.scoring.scored_model import open_model, predict
from mien.networks.catalog import get_network
from mien.published.reproduction.published_results import OPTIONS, DatasetKey, ReproductionRow
from mien.published.reproduction.results import RowResult, parse_result, read_result, write_curve, write_result
from mien.published.svm.run_folder import RESULT
from mien.published.svm.training import train_svm
from mien.text import percent
from mien.training import run_folder as files
from mien.training.config import Recipe
from mien.training.curves import read_epochs
from mien.training.data import select_role
from mien.training.precision import faster_in_bfloat16
from mien.training.run import STOPPED, train

TRAINED = "trained.json"
"""A file in run folders whose training is complete."""
RESUME = "the same call continues the run"
"""How a queue that was ended continues."""
Report = Callable[[str], None]
"""Takes one line about what is done."""


def run_queue(
    rows: Sequence[ReproductionRow],
    data: Mapping[DatasetKey, Path],
    out: Path,
    results: Path,
    *,
    threads: int | None = None,
    hours: float | None = None,
    progress: bool = False,
    report: Report = lambda line: None,
) -> bool:
    """Run every row that has no result yet.

    Args:
        rows: in the order in which they run.
        data: dataset → the prepared file.
        out: folder of the run folders.
        results: folder of the result files.
        threads: processor threads, None for torch's own choice.
        hours: stop after the epoch in which so much time has passed, None for no limit.
        progress: show a progress bar on stderr.
        report: called with one line about each step.

    Returns:
        Whether every row that could run has its result.
    """
    start, complete = time.monotonic(), True
    loaded: dict[Path, Dataset] = {}
    for row in rows:
        result = read_result(results, row.name)
        if result is not None and result.is_complete(row):
            continue
        missing = missing_input(row, data)
        if missing is not None:
            report(f"{row.name}: left out, {missing}")
            continue
        for seed in row.seeds:
            if result is not None and result.run(seed) is not None:
                continue
            left = None if hours is None else hours * 3600 - (time.monotonic() - start)
            if left is not None and left <= 0:
                report(f"the time limit is reached; {RESUME}")
                return False
            try:
                if row.svm is not None:
                    result = _run_svm(row, data[row.data], out, results, report)
                else:
                    result = _run(row, seed, data[row.data], out, results, loaded, threads, left, progress, report)
            except MienError as error:
                report(f"{row.name}, seed {seed}: {error}")
                if error.code == STOPPED:  # the process was asked to end, not this run alone
                    return False
                complete = False
                break
    return complete


def missing_input(row: ReproductionRow, data: Mapping[DatasetKey, Path]) -> str | None:
    """What a row needs and does not have, for people; None where it can run."""
    if row.recipe is None and row.svm is None:
        return row.note
    path = data.get(row.data)
    if path is None:
        return f"give its data with {OPTIONS[row.data]}"
    have = read_column_names(path)
    features = [name for name in row.features if FEATURE_PREFIX + name not in have]
    if not features:
        return None
    names = ",".join(features).replace("_", "-")
    return f"its data lacks features: `mien data prepare {path.name} --features {names} --out …` adds them"


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
    report: Report,
) -> RowResult:
    """Train one seed of a row, or resume it, score it, and write the row's file."""
    recipe = row.recipe
    if recipe is None:
        raise ValueError(f"{row.name} has no recipe")
    recipe = replace(recipe, seed=seed)
    folder = out / row.name / f"seed-{seed}"
    command = _command(row, data)
    if threads is not None:
        command += f" --threads {threads}"
    if not (folder / TRAINED).is_file():
        report(f"{row.name}, seed {seed}: training, {recipe.epochs} epochs")
        train(
            recipe,
            data,
            folder,
            resume=True,
            threads=threads,
            progress=progress,
            command=command,
            seconds=seconds,
            advice=RESUME,
        )
        files.write_json(folder / TRAINED, {"finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        # the state for resuming is the largest file, and this run is complete
        (folder / files.RESUME).unlink(missing_ok=True)
    if data not in loaded:
        loaded.clear()
        loaded[data] = read_prepared(data)
    facts = files.read_json(folder / files.ENVIRONMENT)
    epochs = read_epochs(folder / files.METRICS)
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
    report(f"{row.name}, seed {seed}: {_figures(one)}")
    return result


def _run_svm(row: ReproductionRow, data: Path, out: Path, results: Path, report: Report) -> RowResult:
    """Fit a support-vector machine, which starts again instead of resuming, and write the row's file."""
    svm = row.svm
    if svm is None:
        raise ValueError(f"{row.name} is no support-vector machine")
    folder = out / row.name
    if not (folder / RESULT).is_file():
        report(f"{row.name}: fitting")
        train_svm(svm, data, folder, command=_command(row, data))
    result = parse_result(files.read_json(folder / RESULT))
    write_result(results, result)
    report(f"{row.name}: {_figures(result.runs[0])}")
    return result


def _command(row: ReproductionRow, data: Path) -> str:
    return f"mien reproduce {row.name} {OPTIONS[row.data]} {data.name}"


def _figures(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {percent(each['accuracy'], digits=2)}" for name, each in run["scores"].items())


def scores(
    row: ReproductionRow, recipe: Recipe, data: Dataset, folder: Path, threads: int | None = None
) -> dict[str, Any]:
    """Every figure of a finished run: protocol → `Scores` as a dictionary.

    Rows under a source's own protocol have "validation" and "test" (the roles of the recipe; where both are the same
    images, the one that the source names); Mien's have "ferplus", "fer2013" or "age". Each has "… leak-free" beside it
    where some of its images are in the training set too.
    """
    model = open_model(folder / (files.BEST if row.keep == "best" else files.LAST), threads)
    if row.improves is not None:
        split = "validation" if row.data == "fairface" else "test"
        return dict(evaluate(model, data, split=split)["results"])
    head = recipe.heads[0]
    dirty = set(data.row[leaked_rows(data)].tolist())
    same = recipe.splits.validation == recipe.splits.test
    table: dict[str, Any] = {}
    # one set of images has the name that the source gives it
    for role in tuple(row.published)[:1] or ("test",) if same else ("validation", "test"):
        part, targets = select_role(data, recipe, role)
        truth = targets[head.name].label
        probabilities = predict(model, part)[head.name]
        clean = ~np.isin(part.row, list(dirty))
        for name, rows in ((role, truth >= 0), (subset_name(role, LEAK_FREE), (truth >= 0) & clean)):
            if name == role or not clean.all():
                table[name] = score_probabilities(probabilities[rows], truth[rows], head.labels).to_dict()
    return table


def _automatic(recipe: Recipe) -> bool:
    return recipe.precision == "auto" and faster_in_bfloat16()


def _kept(row: ReproductionRow, recipe: Recipe, epochs: Sequence[Mapping[str, float]]) -> int:
    """The epoch, from 1, whose weights are scored."""
    if row.keep == "last":
        return int(epochs[-1]["epoch"])
    by = (lambda one: one["val_score"]) if recipe.select == "score" else (lambda one: -one["val_loss"])
    return int(max(epochs, key=by)["epoch"])


def _parameters(recipe: Recipe) -> dict[str, int]:
    module = get_network(recipe.network).module(recipe.head_sizes, recipe.dropout)
    statistics = sum(b.numel() for name, b in module.named_buffers() if "running" in name)
    return {"trained": sum(p.numel() for p in module.parameters()), "statistics": statistics}
