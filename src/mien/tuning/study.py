"""The study in the database: created or joined, and facts about its trials."""

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
from mien.tuning.search import SearchConfig
from mien.tuning.storage import SearchStorage, hide_password

IDENTITY = "mien"
"""Attribute of the study that identifies the search."""
SURPLUS = "surplus"
"""Attribute of a trial that began after enough others, and gave up."""
_JOIN_SECONDS = 20.0
_PRUNE_AFTER = 5
_HISTORY = "retry_history"


def open_study(search: SearchConfig, storage: SearchStorage, *, resume: bool) -> Study:
    """Create the study, or join the existing one.

    Raises:
        TrainingError: it exists and ``resume`` is False, or it is another search.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options: dict[str, Any] = {"sampler": make_sampler(search, 0), "pruner": _pruner(search)}
    try:
        study = optuna.create_study(storage=storage, study_name=search.study, direction="maximize", **options)
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=search.study, **options)
    else:
        settings = search.recipe_settings()
        if settings is not None:
            study.enqueue_trial(settings)
        # last, because a worker that joins waits for it
        study.set_user_attr(IDENTITY, search.identity())
        return study
    _check_identity(search, study)
    if not resume:
        done = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        raise TrainingError(
            f"study {search.study!r} has {done} trials already",
            path=hide_password(search.url),
            advice="--resume continues it, --study NAME begins another",
            code="study-exists",
        )
    return study


def _check_identity(search: SearchConfig, study: Study) -> None:
    ends = time.monotonic() + _JOIN_SECONDS
    identity: dict[str, Any] | None = study.user_attrs.get(IDENTITY)
    while identity is None and time.monotonic() < ends:
        time.sleep(0.2)
        identity = study.user_attrs.get(IDENTITY)
    if identity is None:
        raise TrainingError(
            f"study {search.study!r} was not created by Mien",
            path=hide_password(search.url),
            advice="give another --study",
            code="study-differs",
        )
    before, now = _flat(identity), _flat(search.identity())
    differ = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not differ:
        return
    parts = [f"{name} {_brief(before.get(name))}, not {_brief(now.get(name))}" for name in differ[:3]]
    more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
    raise TrainingError(
        f"study {search.study!r} is another search ({'; '.join(parts)}{more})",
        path=hide_password(search.url),
        advice="give the same recipe, data and options, or another --study",
        code="study-differs",
    )


def _flat(value: Any, above: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {above: value}
    return {k: v for key, one in value.items() for k, v in _flat(one, f"{above}.{key}".lstrip(".")).items()}


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:36] + " …"


def make_sampler(search: SearchConfig, number: int) -> TPESampler:
    """The sampler of the settings of trial ``number``, which depend on seed, number and the results known by then.

    Workers with one generator each would propose the same settings as long as they are random.
    """
    return TPESampler(seed=int(np.random.SeedSequence((search.seed, number)).generate_state(1)[0]))


def _pruner(search: SearchConfig) -> BasePruner:
    if search.pruner == "median":
        return MedianPruner(n_startup_trials=_PRUNE_AFTER)
    if search.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=search.epochs)
    return NopPruner()


def earlier_attempts(trial: FrozenTrial) -> list[int]:
    """Numbers of the trials with the same settings that were cut off before this one, oldest first."""
    return list(trial.system_attrs.get(_HISTORY, []))


def first_attempts(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The first trial with each of the settings that were begun or queued."""
    return [trial for trial in trials if not earlier_attempts(trial) and not trial.user_attrs.get(SURPLUS)]


def last_attempts(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The last trial with each of the settings."""
    replaced = {number for trial in trials for number in earlier_attempts(trial)}
    return [one for one in trials if one.number not in replaced and not one.user_attrs.get(SURPLUS)]


def best_trial(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The finished trial with the highest score; the first of equals."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def requeue(study: Study, trial: FrozenTrial) -> None:
    """Put the settings of a stopped trial back into the queue, with its number in their history."""
    with _quiet():
        RetryHeartbeatStaleTrialCallback()(study, trial)


class StaleTrialMonitor:
    """Finds running trials without heartbeats, marks them as failed and queues their settings again.

    Optuna finds those whose last heartbeat is old. A trial that was killed before its first one is found here, by the
    time for which this worker has observed none, because the clocks of two machines may differ.
    """

    def __init__(self, study: Study, storage: SearchStorage) -> None:
        self._study, self._storage = study, storage
        self._observed: dict[int, float] = {}

    def sweep(self) -> None:
        """Check once; to be called regularly."""
        with _quiet():
            fail_stale_trials(self._study)
        now, grace = time.monotonic(), self._storage.grace_seconds
        silent = self._storage.without_heartbeat(self._study.study_name)
        self._observed = {number: self._observed.get(number, now) for number in silent}
        for number, since in self._observed.items():
            if now - since > grace:
                self._fail(number)

    def _fail(self, number: int) -> None:
        # another worker may have been faster
        with contextlib.suppress(ValueError, UpdateFinishedTrialError):
            self._study.tell(number, state=TrialState.FAIL)
            self._storage.queue_stale(self._study, self._study.get_trials()[number])


@contextlib.contextmanager
def _quiet() -> Any:
    # heartbeats are an experimental part of Optuna
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def trial_settings(trial: FrozenTrial) -> dict[str, Setting]:
    """Field → value."""
    return dict(trial.params)
