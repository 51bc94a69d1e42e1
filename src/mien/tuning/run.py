"""Runs the trials of a search, in one or more processes on one or more machines; resumes after a kill at any moment."""

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
from mien.text import percent
from mien.training.run import train
from mien.training.search_space import Setting
from mien.tuning.results import RUNS, settings_text, write_results
from mien.tuning.search import SearchConfig, best_epoch, prepare_trial_data, suggest_value
from mien.tuning.storage import SearchStorage, database_errors, open_storage
from mien.tuning.study import (
    SURPLUS,
    StaleTrialMonitor,
    best_trial,
    earlier_attempts,
    first_attempts,
    make_sampler,
    open_study,
    requeue,
    trial_settings,
)

TextCallback = Callable[[str], None]
_POLL_SECONDS = 1.0


class SurplusTrial(Exception):  # noqa: N818
    """Two workers began a last trial at the same moment: the second gives up its own."""


def ignore_text(line: str) -> None:
    """Ignores the text; a named function, because it is passed to other processes."""


def tune(
    search: SearchConfig,
    *,
    resume: bool = False,
    jobs: int = 1,
    report: TextCallback = ignore_text,
    show_status: TextCallback = ignore_text,
) -> Path:
    """Run the search, or the rest of it, and write its results.

    Args:
        search: the search.
        resume: continue or join the study where it exists already.
        jobs: processes on this machine.
        report: called with one line about each trial; with several jobs a function of a module, which they import.
        show_status: called with the current state, for a line that is overwritten.

    Returns:
        The folder of the results.

    Raises:
        TrainingError: the database cannot be used, the study is another search, or no trial finished.
        InputError, DataError: recipe, space or data do not fit together.

    Examples:
        >>> from dataclasses import replace
        >>> from mien.training.search_space import LogUniform, SearchSpace
        >>> from mien.tuning.storage import database_url
        >>> searched = replace(recipe, space=SearchSpace((LogUniform("optimizer.lr", 1e-4, 1e-2),)))
        >>> folder, url = Path("search"), database_url(None, Path("search"))
        >>> search = SearchConfig(searched, Path("made.parquet"), folder, url, "small", trials=1, epochs=1, threads=1)
        >>> (tune(search) / "trials.csv").is_file()
        True
    """
    file = prepare_trial_data(search)
    with _study(search, resume, report) as (study, storage):
        workers = _start_workers(search, jobs - 1, report)
        try:
            _work(search, file, study, storage, report, show_status)
        except BaseException:
            for one in workers:
                one.terminate()
            raise
        finally:
            for one in workers:
                one.join()
        show_status("writing the results")
        document = write_results(search, study, pictures=True)
        _sweep(search, study)
    if document["best"] is None:
        raise TrainingError(
            f"no trial finished, so there are no best settings{_reasons(document)}",
            path=search.folder,
            code="no-trial-finished",
        )
    if any(one.exitcode for one in workers):
        raise TrainingError(
            "a worker failed",
            path=search.folder,
            advice="the same call with --resume tries its settings again",
            code="worker-failed",
        )
    return search.folder


def _reasons(document: Mapping[str, Any]) -> str:
    reasons = sorted({str(one["reason"]) for one in document["trials"] if one["reason"]})
    if document["waiting"]:
        reasons.append(f"{document['waiting']} waiting")
    return f" ({', '.join(reasons)})" if reasons else ""


@contextlib.contextmanager
def _study(search: SearchConfig, resume: bool, report: TextCallback) -> Iterator[tuple[Study, SearchStorage]]:
    def cut_off(study: Study, trial: FrozenTrial) -> None:
        report(f"trial {trial.number} was cut off; its settings will be tried again")

    storage = open_storage(search.url, heartbeat=search.heartbeat, stale=cut_off)
    try:
        with database_errors(search.url):
            yield open_study(search, storage, resume=resume), storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _start_workers(search: SearchConfig, count: int, report: TextCallback) -> list[Any]:
    """More workers on this machine; spawned, because torch's threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work_in_process, args=(search, report)) for _ in range(count)]
    for one in processes:
        one.start()
    return processes


def _work_in_process(search: SearchConfig, report: TextCallback) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # a worker whose parent was killed ends too; its trial is tried again like any that was cut off
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    try:
        with _study(search, True, report) as (study, storage):
            _work(search, prepare_trial_data(search), study, storage, report, ignore_text)
    except MienError as error:
        report(f"mien: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _work(
    search: SearchConfig,
    file: Path,
    study: Study,
    storage: SearchStorage,
    report: TextCallback,
    show_status: TextCallback,
) -> None:
    """Run trials until the search has enough, and wait for those of other workers."""
    worker = secrets.token_hex(3)
    ends = None if search.seconds is None else time.monotonic() + search.seconds
    waited = False
    monitor = StaleTrialMonitor(study, storage)
    while ends is None or time.monotonic() < ends:
        monitor.sweep()
        trials = study.get_trials(deepcopy=False)
        queued = any(trial.state == TrialState.WAITING for trial in trials)
        if len(first_attempts(trials)) >= search.trials and not queued:
            running = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
            if not running:
                return
            # settings whose worker dies now are tried here, and the results written in the end are complete
            if not waited:
                report(f"waiting for trial {', '.join(map(str, running))} of another worker, or one that was cut off")
                waited = True
            time.sleep(_POLL_SECONDS)
            continue
        _run_trial(search, file, study, worker, report, show_status)
        write_results(search, study, pictures=False)
        _sweep(search, study)
    report("the time is up; the same call with --resume continues")


def _run_trial(
    search: SearchConfig, file: Path, study: Study, worker: str, report: TextCallback, show_status: TextCallback
) -> None:
    numbers: list[int] = []

    def objective(trial: Trial) -> float:
        numbers.append(trial.number)
        *before, this = study.get_trials(deepcopy=False)[: trial.number + 1]
        if not earlier_attempts(this) and len(first_attempts(before)) >= search.trials:
            trial.set_user_attr(SURPLUS, True)
            raise SurplusTrial
        return _score(search, file, study, trial, worker, show_status)

    try:
        study.optimize(objective, n_trials=1, catch=(SurplusTrial,))
    except BaseException:
        # interrupted, disk full, database gone …: not the fault of the settings
        if numbers:
            with contextlib.suppress(Exception):
                _hand_back(study, numbers[0])
        raise
    ended = study.get_trials(deepcopy=False)[numbers[0]]
    if not ended.user_attrs.get(SURPLUS):
        report(_trial_line(search, study, ended))


def _hand_back(study: Study, number: int) -> None:
    if not study.get_trials(deepcopy=False)[number].state.is_finished():
        study.tell(number, state=TrialState.FAIL)
    trial = study.get_trials()[number]
    if trial.state == TrialState.FAIL:
        requeue(study, trial)


def _score(
    search: SearchConfig, file: Path, study: Study, trial: Trial, worker: str, show_status: TextCallback
) -> float:
    """Train the trial's recipe; returns the validation score of its best epoch."""
    study.sampler = make_sampler(search, trial.number)
    settings: dict[str, Setting] = {one.field: suggest_value(trial, one) for one in search.space.dimensions}
    recipe = search.trial_recipe(settings)
    folder = search.folder / RUNS / f"{trial.number:04}"
    shutil.rmtree(folder, ignore_errors=True)
    rows: list[dict[str, float]] = []
    reason = ""
    wall, processor = time.monotonic(), time.process_time()

    def on_epoch(row: Mapping[str, float]) -> bool:
        nonlocal reason
        # float32 in short form: 0.207, not 0.2070000022
        rows.append({name: round(value, 6) for name, value in row.items()})
        epoch = len(rows)
        if not np.isfinite(row["train_loss"]):
            reason = "diverged"
            return False
        trial.report(rows[-1]["val_score"], epoch)
        show_status(f"trial {trial.number}: epoch {epoch} of {search.epochs}, {percent(row['val_score'])}")
        if epoch < search.epochs and trial.should_prune():
            reason = "pruned"
            return False
        return True

    show_status(f"trial {trial.number}: {settings_text(settings)}")
    try:
        train(
            recipe,
            file,
            folder,
            teacher=search.teacher,
            threads=search.threads,
            progress=False,
            command=search.command,
            on_epoch=on_epoch,
        )
    except TrainingError:
        if reason != "diverged":
            raise
    except torch.cuda.OutOfMemoryError:
        reason = "out of memory"
    if rows:
        best = best_epoch(recipe, rows)
        trial.set_user_attr("score", best["val_score"])
        trial.set_user_attr("epoch", int(best["epoch"]))
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
    return best["val_score"]


def _trial_line(search: SearchConfig, study: Study, trial: FrozenTrial) -> str:
    trials = study.get_trials(deepcopy=False)
    facts = trial.user_attrs
    score = percent(facts["score"]) if "score" in facts else "no score"
    ended = facts.get("reason") or "finished"
    after = f"{facts.get('epochs', 0)} epoch{'s' if facts.get('epochs') != 1 else ''}"
    again = f", again after {earlier_attempts(trial)[-1]}" if earlier_attempts(trial) else ""
    top = best_trial(trials)
    leader = "no trial finished yet"
    if top is not None and top.value is not None:
        leader = f"best {percent(top.value)} in trial {top.number}: {settings_text(trial_settings(top))}"
    done = sum(one.state in (TrialState.COMPLETE, TrialState.PRUNED) for one in trials)
    return f"[{done}/{search.trials}] trial {trial.number}{again}: {score}, {ended} after {after}; {leader}"


def _sweep(search: SearchConfig, study: Study) -> None:
    """Remove the run folders of finished trials except the best."""
    runs = search.folder / RUNS
    if search.keep or not runs.is_dir():
        return
    trials = study.get_trials(deepcopy=False)
    top = best_trial(trials)
    for folder in runs.iterdir():
        number = int(folder.name) if folder.name.isdigit() else -1
        finished = 0 <= number < len(trials) and trials[number].state.is_finished()
        if finished and (top is None or number != top.number):
            shutil.rmtree(folder, ignore_errors=True)
