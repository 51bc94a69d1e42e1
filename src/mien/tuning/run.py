"""Runs the trials of a search, in one process or several, on one machine or many. Killed at any moment, it resumes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from mien.errors import MienError, TrainingError
from mien.training.run import train
from mien.training.search_space import Setting
from mien.tuning.results import RUNS, percent, spoken, write_results
from mien.tuning.search import Search, best_row, suggest, trial_data
from mien.tuning.storage import Storage, open_storage, reachable
from mien.tuning.study import (
    SURPLUS,
    CutOff,
    begun,
    best,
    open_study,
    queue_again,
    retries,
    sampler,
    settings_of,
)

Say = Callable[[str], None]
_POLL_SECONDS = 1.0


class Surplus(Exception):  # noqa: N818
    """Two workers began a last trial at the same moment: the second steps back."""


def nothing(line: str) -> None:
    """Says nothing; a function with a name, because workers of their own process are given it."""


def tune(search: Search, *, resume: bool = False, jobs: int = 1, say: Say = nothing, show: Say = nothing) -> Path:
    """Run the search, or what is left of it, and write its results.

    Args:
        search: what is searched.
        resume: go on with the study, or join it, where it is there already.
        jobs: processes on this machine.
        say: takes one line about each trial; with several jobs a function of a module, which they import.
        show: takes what is going on, for a line that is overwritten.

    Returns:
        The folder of the results.

    Raises:
        TrainingError: the database cannot be used, the study is another search, or no trial finished.
        InputError, DataError: recipe, space or data do not fit together.
    """
    file = trial_data(search)
    with _study(search, resume, say) as (study, storage):
        helpers = _helpers(search, jobs - 1, say)
        try:
            _work(search, file, study, storage, say, show)
        except BaseException:
            for one in helpers:
                one.terminate()
            raise
        finally:
            for one in helpers:
                one.join()
        show("writing the results")
        document = write_results(search, study, pictures=True)
        _sweep(search, study)
    if document["best"] is None:
        raise TrainingError(f"{search.folder}: no trial finished, so there are no best settings{_why(document)}")
    if any(one.exitcode for one in helpers):
        raise TrainingError(f"{search.folder}: a worker failed; `--resume` tries what it left again")
    return search.folder


def _why(document: Mapping[str, Any]) -> str:
    reasons = sorted({str(one["reason"]) for one in document["trials"] if one["reason"]})
    if document["waiting"]:
        reasons.append(f"{document['waiting']} wait")
    return f" ({', '.join(reasons)})" if reasons else ""


@contextlib.contextmanager
def _study(search: Search, resume: bool, say: Say) -> Iterator[tuple[Study, Storage]]:
    def cut_off(study: Study, trial: FrozenTrial) -> None:
        say(f"trial {trial.number} was cut off; its settings are tried again")

    storage = open_storage(search.url, heartbeat=search.heartbeat, stale=cut_off)
    try:
        with reachable(search.url):
            yield open_study(search, storage, resume=resume), storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _helpers(search: Search, count: int, say: Say) -> list[Any]:
    """More workers on this machine. Started afresh, because torch's threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_help, args=(search, say)) for _ in range(count)]
    for one in processes:
        one.start()
    return processes


def _help(search: Search, say: Say) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # a worker whose command was killed ends too; its trial is tried again like any that was cut off
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    try:
        with _study(search, True, say) as (study, storage):
            _work(search, trial_data(search), study, storage, say, nothing)
    except MienError as error:
        say(f"mien: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _work(search: Search, file: Path, study: Study, storage: Storage, say: Say, show: Say) -> None:
    """Run trials until the search has enough, and wait for those of other workers."""
    worker = secrets.token_hex(3)
    ends = None if search.seconds is None else time.monotonic() + search.seconds
    waited = False
    cut_off = CutOff(study, storage)
    while ends is None or time.monotonic() < ends:
        cut_off.sweep()
        trials = study.get_trials(deepcopy=False)
        queued = any(trial.state == TrialState.WAITING for trial in trials)
        if len(begun(trials)) >= search.trials and not queued:
            running = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
            if not running:
                return
            # settings whose worker dies now are tried here, and what is written in the end is whole
            if not waited:
                say(f"waiting for trial {', '.join(map(str, running))} of another worker, or one that was cut off")
                waited = True
            time.sleep(_POLL_SECONDS)
            continue
        _one(search, file, study, worker, say, show)
        write_results(search, study, pictures=False)
        _sweep(search, study)
    say("the time is up; `--resume` goes on")


def _one(search: Search, file: Path, study: Study, worker: str, say: Say, show: Say) -> None:
    numbers: list[int] = []

    def objective(trial: Trial) -> float:
        numbers.append(trial.number)
        *before, this = study.get_trials(deepcopy=False)[: trial.number + 1]
        if not retries(this) and len(begun(before)) >= search.trials:
            trial.set_user_attr(SURPLUS, True)
            raise Surplus
        return _trial(search, file, study, trial, worker, show)

    try:
        study.optimize(objective, n_trials=1, catch=(Surplus,))
    except BaseException as error:
        # interrupted, disk full, database gone …: nothing that the settings are to blame for
        if numbers:
            with contextlib.suppress(Exception):
                _hand_back(study, numbers[0])
        if isinstance(error, SystemExit):
            # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None
        raise
    ended = study.get_trials(deepcopy=False)[numbers[0]]
    if not ended.user_attrs.get(SURPLUS):
        say(_line(search, study, ended))


def _hand_back(study: Study, number: int) -> None:
    if not study.get_trials(deepcopy=False)[number].state.is_finished():
        study.tell(number, state=TrialState.FAIL)
    trial = study.get_trials()[number]
    if trial.state == TrialState.FAIL:
        queue_again(study, trial)


def _trial(search: Search, file: Path, study: Study, trial: Trial, worker: str, show: Say) -> float:
    """Train the trial's recipe; its score is the validation score of the epoch that the run keeps."""
    study.sampler = sampler(search, trial.number)
    settings: dict[str, Setting] = {one.field: suggest(trial, one) for one in search.space.dimensions}
    recipe = search.trial_recipe(settings)
    folder = search.folder / RUNS / f"{trial.number:04}"
    shutil.rmtree(folder, ignore_errors=True)
    rows: list[dict[str, float]] = []
    reason = ""
    wall, processor = time.monotonic(), time.process_time()

    def watch(row: Mapping[str, float]) -> bool:
        nonlocal reason
        # float32 as it is written down: 0.207, not 0.2070000022
        rows.append({name: round(value, 6) for name, value in row.items()})
        epoch = len(rows)
        if not np.isfinite(row["train_loss"]):
            reason = "diverged"
            return False
        trial.report(rows[-1]["val_score"], epoch)
        show(f"trial {trial.number}: epoch {epoch} of {search.epochs}, {percent(row['val_score'])}")
        if epoch < search.epochs and trial.should_prune():
            reason = "pruned"
            return False
        return True

    show(f"trial {trial.number}: {spoken(settings)}")
    try:
        train(
            recipe,
            file,
            folder,
            teacher=search.teacher,
            threads=search.threads,
            progress=False,
            command=search.command,
            on_epoch=watch,
        )
    except TrainingError:
        if reason != "diverged":
            raise
    except torch.cuda.OutOfMemoryError:
        reason = "out of memory"
    if rows:
        kept = best_row(recipe, rows)
        trial.set_user_attr("score", kept["val_score"])
        trial.set_user_attr("epoch", int(kept["epoch"]))
    facts = {
        "epochs": len(rows),
        "seconds": round(time.monotonic() - wall, 1),
        "cpu_seconds": round(time.process_time() - processor, 1),
        "worker": worker,
        "reason": reason,
    }
    for name, value in facts.items():
        trial.set_user_attr(name, value)
    if reason:
        raise TrialPruned(reason)
    return kept["val_score"]


def _line(search: Search, study: Study, trial: FrozenTrial) -> str:
    trials = study.get_trials(deepcopy=False)
    facts = trial.user_attrs
    score = percent(facts["score"]) if "score" in facts else "no score"
    ended = facts.get("reason") or "finished"
    after = f"{facts.get('epochs', 0)} epoch{'s' if facts.get('epochs') != 1 else ''}"
    again = f", again after {retries(trial)[-1]}" if retries(trial) else ""
    top = best(trials)
    leader = "no trial finished yet"
    if top is not None and top.value is not None:
        leader = f"best {percent(top.value)} in trial {top.number}: {spoken(settings_of(top))}"
    done = sum(one.state in (TrialState.COMPLETE, TrialState.PRUNED) for one in trials)
    return f"[{done}/{search.trials}] trial {trial.number}{again}: {score}, {ended} after {after}; {leader}"


def _sweep(search: Search, study: Study) -> None:
    """Remove the run folders of finished trials, but for the best one's."""
    runs = search.folder / RUNS
    if search.keep or not runs.is_dir():
        return
    trials = study.get_trials(deepcopy=False)
    top = best(trials)
    for folder in runs.iterdir():
        number = int(folder.name) if folder.name.isdigit() else -1
        over = 0 <= number < len(trials) and trials[number].state.is_finished()
        if over and (top is None or number != top.number):
            shutil.rmtree(folder, ignore_errors=True)
