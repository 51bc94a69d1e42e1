"""The results of a search: ``study.json``, ``trials.csv``, three pictures, and a recipe with the best settings."""

from __future__ import annotations

import csv
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mien.datasets.prepared_file import read_prepared_info
from mien.errors import TrainingError
from mien.files import atomic_path, output_errors
from mien.training.config import Recipe
from mien.training.environment import collect_environment
from mien.training.recipe_file import write_recipe
from mien.training.run_folder import read_json, write_json
from mien.training.search_space import Setting, with_settings
from mien.tuning.plots import draw_history, draw_importance, draw_settings
from mien.tuning.search import SearchConfig
from mien.tuning.study import best_trial, earlier_attempts, last_attempts, trial_settings

STUDY, TRIALS, RUNS = "study.json", "trials.csv", "trials"
HISTORY, IMPORTANCE, SETTINGS = "history.png", "importance.png", "settings.png"
_MIN_TRIALS = 4
"""Finished trials below which no importance is computed."""


# collected once: it runs git, and a document is written after every trial
_environment = cache(collect_environment)


def settings_text(settings: Mapping[str, Setting]) -> str:
    """Settings on one line."""
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in settings.items())


def write_results(search: SearchConfig, study: Study, *, pictures: bool) -> dict[str, Any]:
    """Write the table and the document, and the pictures if ``pictures``; returns the document."""
    trials = study.get_trials()
    document = _document(search, study, trials, importance=pictures)
    with output_errors(search.folder):
        write_json(search.folder / STUDY, document)
        _write_table(search, document["trials"], search.folder / TRIALS)
        if pictures and document["best"] is not None:
            draw_history(document, search.folder / HISTORY)
            draw_settings(document, search.folder / SETTINGS)
            if document["importance"]:
                draw_importance(document["importance"], search.folder / IMPORTANCE)
    return document


def _document(search: SearchConfig, study: Study, trials: Sequence[FrozenTrial], *, importance: bool) -> dict[str, Any]:
    rows = [_row(trial) for trial in last_attempts(trials) if trial.state != TrialState.WAITING]
    top = best_trial(trials)
    facts = _environment()
    document: dict[str, Any] = {
        "study": search.study,
        "recipe": search.recipe.name,
        "space": list(search.identity()["space"].values()),
        "epochs": search.epochs,
        "images": search.images,
        "seed": search.seed,
        "sampler": "TPE",
        "pruner": search.pruner,
        "score": "mean validation accuracy of the heads, of the epoch that the run keeps",
        "data": {"file": search.data.name, "sha256": read_prepared_info(search.data)["sha256"]},
        "states": dict(Counter(row["state"] for row in rows)),
        "waiting": sum(trial.state == TrialState.WAITING for trial in trials),
        "tried_again": sum(bool(earlier_attempts(trial)) for trial in trials if trial.state.is_finished()),
        "workers": len({row["worker"] for row in rows if row["worker"]}),
        "seconds": round(sum(row["seconds"] or 0 for row in rows), 1),
        "cpu_seconds": round(sum(row["cpu_seconds"] or 0 for row in rows), 1),
        "own": next((row["score"] for row in rows if _is_own(search, row)), None),
        "best": None if top is None else _best(search, top),
        "importance": _importance(study, trials) if importance else {},
        "trials": rows,
        "command": search.command,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": facts["commit"],
        "processor": facts["processor"],
        "packages": facts["packages"] | {"optuna": version("optuna")},
    }
    return document


def _row(trial: FrozenTrial) -> dict[str, Any]:
    facts = trial.user_attrs
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "reason": facts.get("reason", "") or ("cut off" if trial.state == TrialState.FAIL else ""),
        "score": facts.get("score"),
        "epoch": facts.get("epoch"),
        "scores": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
        "settings": trial_settings(trial),
        "seconds": facts.get("seconds"),
        "cpu_seconds": facts.get("cpu_seconds"),
        "worker": facts.get("worker"),
        "again_after": earlier_attempts(trial),
    }


def _is_own(search: SearchConfig, row: Mapping[str, Any]) -> bool:
    return bool(row["settings"]) and row["settings"] == search.recipe_settings()


def _best(search: SearchConfig, trial: FrozenTrial) -> dict[str, Any]:
    run = search.folder / RUNS / f"{trial.number:04}"
    return {
        "number": trial.number,
        "score": trial.value,
        "settings": trial_settings(trial),
        # the best run of another worker is in its folder
        "run": f"{RUNS}/{trial.number:04}" if run.is_dir() else None,
    }


def _importance(study: Study, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Field → share of the scores' variance that it explains, by functional ANOVA; empty for too few trials."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if len(done) < _MIN_TRIALS or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: round(float(share), 4) for name, share in shares.items() if math.isfinite(share)}


def _write_table(search: SearchConfig, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    fields = [one.field for one in search.space.dimensions]
    plain = ["number", "state", "reason", "score", "epoch", "seconds", "cpu_seconds", "worker"]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*plain, *fields])
        for row in rows:
            writer.writerow([*(row[name] for name in plain), *(row["settings"].get(name) for name in fields)])


def write_best_recipe(search: SearchConfig, path: Path) -> Recipe:
    """Write the recipe with the best settings so far; epochs and splits remain those of the recipe.

    Raises:
        TrainingError: no trial finished.
    """
    document = read_json(search.folder / STUDY)
    top = document["best"]
    if top is None:
        raise TrainingError(
            "no trial finished, so there are no best settings to write", path=search.folder, code="no-trial-finished"
        )
    changed: Recipe = with_settings(search.recipe, top["settings"])
    name = search.recipe.name if search.recipe.name.endswith("-tuned") else f"{search.recipe.name}-tuned"
    summary = f"{search.recipe.name} with the settings of trial {top['number']} of the search {search.study!r}"
    tuned = replace(changed, name=name, summary=summary)
    copied = ("study", "recipe", "epochs", "images", "data", "states", "own", "command", "date", "commit", "packages")
    origin = {"best": top, **{key: document[key] for key in copied}}
    write_recipe(tuned, path, json.loads(json.dumps(origin)))
    return tuned
