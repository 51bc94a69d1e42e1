"""The study in the database: made or joined, and what its trials say about the search."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, UpdateFinishedTrialError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mien.errors import TrainingError
from mien.training.search_space import Setting
from mien.tuning.search import Search
from mien.tuning.storage import Storage, shown

IDENTITY = "mien"
"""Attribute of the study that says which search it is."""
SURPLUS = "surplus"
"""Attribute of a trial that began after enough had begun, and stepped back."""
_JOIN_SECONDS = 20.0
_PRUNE_AFTER = 5
_HISTORY = "retry_history"


def open_study(search: Search, storage: Storage, *, resume: bool) -> Study:
    """Make the study, or join the one there is.

    Raises:
        TrainingError: there is one and ``resume`` was not given, or it is another search.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tools: dict[str, Any] = {"sampler": sampler(search, 0), "pruner": _pruner(search)}
    try:
        study = optuna.create_study(storage=storage, study_name=search.study, direction="maximize", **tools)
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=search.study, **tools)
    else:
        own = search.own_settings()
        if own is not None:
            study.enqueue_trial(own)
        # last, because a worker that joins waits for it
        study.set_user_attr(IDENTITY, search.identity())
        return study
    _same(search, study)
    if not resume:
        done = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        raise TrainingError(
            f"study {search.study!r} in {shown(search.url)} has {done} trials: --resume goes on with it, "
            "--study NAME begins another"
        )
    return study


def _same(search: Search, study: Study) -> None:
    ends = time.monotonic() + _JOIN_SECONDS
    said: dict[str, Any] | None = study.user_attrs.get(IDENTITY)
    while said is None and time.monotonic() < ends:
        time.sleep(0.2)
        said = study.user_attrs.get(IDENTITY)
    if said is None:
        raise TrainingError(f"study {search.study!r} in {shown(search.url)} was not made by Mien: give another --study")
    before, now = _flat(said), _flat(search.identity())
    differ = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not differ:
        return
    parts = [f"{name} {_brief(before.get(name))}, not {_brief(now.get(name))}" for name in differ[:3]]
    more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
    raise TrainingError(
        f"study {search.study!r} in {shown(search.url)} is another search ({'; '.join(parts)}{more}): "
        "give the same recipe, data and options, or another --study"
    )


def _flat(value: Any, above: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {above: value}
    return {k: v for key, one in value.items() for k, v in _flat(one, f"{above}.{key}".lstrip(".")).items()}


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:36] + " …"


def sampler(search: Search, number: int) -> TPESampler:
    """What proposes the settings of trial ``number``: they follow from seed, number and the results known by then.

    Workers with one generator each would propose the same settings as long as chance alone decides.
    """
    return TPESampler(seed=int(np.random.SeedSequence((search.seed, number)).generate_state(1)[0]))


def _pruner(search: Search) -> BasePruner:
    if search.pruner == "median":
        return MedianPruner(n_startup_trials=_PRUNE_AFTER)
    if search.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=search.epochs)
    return NopPruner()


def retries(trial: FrozenTrial) -> list[int]:
    """Numbers of the trials of the same settings that were cut off before this one, oldest first."""
    return list(trial.system_attrs.get(_HISTORY, []))


def begun(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """One trial for each of the settings that were begun or queued: the first with them."""
    return [trial for trial in trials if not retries(trial) and not trial.user_attrs.get(SURPLUS)]


def latest(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """One trial for each of the settings: the last attempt."""
    replaced = {number for trial in trials for number in retries(trial)}
    return [one for one in trials if one.number not in replaced and not one.user_attrs.get(SURPLUS)]


def best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The finished trial with the highest score; the first of equals."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def queue_again(study: Study, trial: FrozenTrial) -> None:
    """Put the settings of a trial that was stopped back into the queue, with its number remembered."""
    with _quiet():
        RetryHeartbeatStaleTrialCallback()(study, trial)


class CutOff:
    """Finds running trials without signs of life, marks them as failed and queues their settings again.

    Optuna sees those whose last sign is old. One that was killed before its first sign is seen here: by the time this
    worker has watched it without any, because the clocks of two machines may differ.
    """

    def __init__(self, study: Study, storage: Storage) -> None:
        self._study, self._storage = study, storage
        self._seen: dict[int, float] = {}

    def sweep(self) -> None:
        """Look once; to be called again and again."""
        with _quiet():
            fail_stale_trials(self._study)
        now, patience = time.monotonic(), self._storage.patience
        silent = self._storage.silent(self._study.study_name)
        self._seen = {number: self._seen.get(number, now) for number in silent}
        for number, since in self._seen.items():
            if now - since > patience:
                self._fail(number)

    def _fail(self, number: int) -> None:
        # another worker may have been quicker
        with contextlib.suppress(ValueError, UpdateFinishedTrialError):
            self._study.tell(number, state=TrialState.FAIL)
            self._storage.cut_off(self._study, self._study.get_trials()[number])


@contextlib.contextmanager
def _quiet() -> Any:
    # heartbeats are an experimental part of Optuna
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def settings_of(trial: FrozenTrial) -> dict[str, Setting]:
    """Field → value."""
    return dict(trial.params)
