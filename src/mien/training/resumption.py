"""What a run folder holds already, and whether a call may continue it.

A run is continued on the same data, with the same recipe and teacher: what its folder states stays true. Only the
number of epochs may change. A folder in which no epoch was finished does not block another run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import MissingFileError, TrainingError
from mien.models.file_cache import file_sha256
from mien.run_differences import difference_error, differences
from mien.training import run_folder as files
from mien.training.config import Recipe, recipe_from_dict, recipe_to_dict
from mien.training.curves import read_epochs

FINISHED = "finished"
"""Key of the environment that holds the time at which the run was complete."""
SOURCES = ("data", "teacher", "initial", "unlabelled")
"""Keys of the environment that hold the files a run learns from."""
_NO_RUN = frozenset({files.CONFIG, files.ENVIRONMENT, files.TENSORBOARD})
"""What is in a folder before its first epoch is finished."""
_FREE = ("epochs", "summary")
"""Fields of a recipe that a call may change."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """Where a call starts.

    Attributes:
        state: the checkpoint to continue from; None for the beginning.
        finished: whether the run is complete already.
    """

    state: Path | None = None
    finished: bool = False


def count_epochs(folder: Path) -> int:
    """Number of epochs that are finished in a run folder; 0 where there is no run."""
    metrics = folder / files.METRICS
    return int(max((row["epoch"] for row in read_epochs(metrics)), default=0)) if metrics.is_file() else 0


def describe_source(path: Path) -> dict[str, Any]:
    """Name and SHA-256 of a file, or of the best weights of a run folder; `MissingFileError` where there is none."""
    file = path / files.BEST if path.is_dir() else path
    if not file.is_file():
        raise MissingFileError("no such file", path=file, advice="check the path")
    return {"file": path.name, "sha256": file_sha256(file)}


def clear_failed_start(folder: Path) -> None:
    """Empty a folder in which no epoch was finished.

    Raises:
        TrainingError: it holds a run, or anything else.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    names = {path.name for path in folder.iterdir()}
    if not (files.CONFIG in names and names <= _NO_RUN):
        is_run = files.CONFIG in names and files.ENVIRONMENT in names
        raise (
            run_exists_error(folder)
            if is_run
            else TrainingError("is not empty", path=folder, advice="give another --out", code="run-exists")
        )
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def find_start(recipe: Recipe, sources: Mapping[str, Mapping[str, Any]], folder: Path, *, resume: bool) -> RunStart:
    """Where a call with this recipe starts in a folder that exists.

    Args:
        recipe: what is trained.
        sources: key of `SOURCES` → `describe_source` of a file that is learnt from.
        folder: the run folder.
        resume: continue the run in it, where there is one.

    Raises:
        TrainingError: the folder holds another run, or one that cannot be continued.
    """
    if not resume or not (folder / files.CONFIG).is_file() or not (folder / files.METRICS).is_file():
        clear_failed_start(folder)
        return RunStart()
    before = recipe_from_dict(files.read_json(folder / files.CONFIG))
    environment = files.read_json(folder / files.ENVIRONMENT)
    _check_same(before, environment, recipe, sources, folder)
    done, state = count_epochs(folder), folder / files.RESUME
    if recipe.epochs < done:
        raise TrainingError(
            f"has {done} epochs already",
            path=folder,
            advice=f"give --epochs {done} or more, or another --out",
            code="run-differs",
        )
    if FINISHED in environment and (recipe.epochs <= before.epochs):
        return RunStart(state if state.is_file() else None, finished=True)
    if not state.is_file() and done > 1:
        raise TrainingError(
            f"cannot be continued: {files.RESUME} is missing", path=folder, advice="give another --out", code="run-cut"
        )
    return RunStart(state if state.is_file() else None)


def run_exists_error(folder: Path) -> TrainingError:
    """The error for a run folder that a call without --resume would write to."""
    advice = "give another --out, or --resume to continue the run in it"
    return TrainingError("holds a run already", path=folder, advice=advice, code="run-exists")


def other_run_error(reason: str, found: list[str], folder: Path) -> TrainingError:
    """The error for a run folder that --resume cannot continue with what differs."""
    advice = "give what that run has to resume it, or another --out"
    return difference_error(TrainingError, reason, found, path=folder, advice=advice)


def _check_same(
    before: Recipe,
    environment: Mapping[str, Any],
    recipe: Recipe,
    sources: Mapping[str, Mapping[str, Any]],
    folder: Path,
) -> None:
    learnt = {name: environment.get(name) for name in SOURCES}
    # a file that was renamed or moved is the same
    given = {name: learnt[name] if _same(learnt[name], sources.get(name)) else sources.get(name) for name in SOURCES}
    found = differences(
        {name: _brief(source) for name, source in learnt.items()} | _settings(before),
        {name: _brief(source) for name, source in given.items()} | _settings(recipe),
    )
    if found:
        raise other_run_error("holds a run on other data or settings", found, folder)


def _same(learnt: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> bool:
    return learnt is not None and given is not None and learnt.get("sha256") == given.get("sha256")


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {name: value for name, value in recipe_to_dict(recipe).items() if name not in _FREE}


def _brief(source: Mapping[str, Any] | None) -> str | None:
    return None if source is None else f"{source.get('file')} (SHA-256 {str(source.get('sha256'))[:8]}…)"
