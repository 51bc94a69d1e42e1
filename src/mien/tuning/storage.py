"""The database of a search: a SQLite file, or PostgreSQL shared by many workers.

Errors of the database become one line, without the password of its address.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mien.errors import InputError, MissingExtraError, TrainingError
from mien.files import make_folder

SQLITE_FILE = "study.db"
"""The SQLite file of a search without ``--storage``, in its folder."""
MAX_ATTEMPTS = 3
"""Attempts with settings whose trials are cut off (killed, machine lost)."""
_CONNECT_SECONDS = 10
_BUSY_SECONDS = 60

_NO_HEARTBEAT = text(
    "SELECT t.number FROM trials t JOIN studies s ON s.study_id = t.study_id "
    "LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
    "WHERE s.study_name = :study AND t.state = 'RUNNING' AND h.trial_id IS NULL ORDER BY t.number"
)
TrialCallback = Callable[[Study, FrozenTrial], None]


class SearchStorage(RDBStorage):
    """Optuna's storage; its heartbeat thread ignores a lost database, which the trial itself reports."""

    @property
    def grace_seconds(self) -> float:
        """Seconds without a heartbeat after which a trial counts as cut off."""
        return float(self.grace_period or 0)

    def without_heartbeat(self, study: str) -> list[int]:
        """Numbers of the running trials that never sent a heartbeat."""
        with self.engine.connect() as connection:
            return [row[0] for row in connection.execute(_NO_HEARTBEAT, {"study": study})]

    def queue_stale(self, study: Study, trial: FrozenTrial) -> None:
        """Queue the settings of a trial that was cut off again, unless it happened too often."""
        if self.heartbeat_stale_trial_callback is not None:
            self.heartbeat_stale_trial_callback(study, trial)

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that the trial is still running."""
        with contextlib.suppress(SQLAlchemyError, StorageInternalError, sqlite3.Error):
            super().record_heartbeat(trial_id)


def database_url(storage: str | None, folder: Path) -> URL:
    """The database's address: ``storage``, or the file in ``folder``.

    Args:
        storage: such as ``postgresql://USER@HOST/DATABASE``; None for the file.
        folder: of the results.

    Raises:
        InputError: not an address of SQLite or PostgreSQL.

    Examples:
        >>> database_url(None, Path("search")).get_backend_name()
        'sqlite'
    """
    if storage is None:
        return URL.create("sqlite", database=str(folder / SQLITE_FILE))
    advice = "give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        url = make_url(storage)
    except ArgumentError:
        raise InputError("--storage is not the address of a database", advice=advice) from None
    backend = url.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise InputError("--storage in memory would be lost", advice=advice)
        return url
    raise InputError(f"--storage: {backend} is not supported", advice=advice)


def hide_password(url: URL) -> str:
    """The address without its password and its driver."""
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql")
    return url.render_as_string(hide_password=True)


def open_storage(url: URL, *, heartbeat: int, stale: TrialCallback | None = None) -> SearchStorage:
    """Connect and create missing tables.

    Args:
        url: from `database_url`.
        heartbeat: seconds between heartbeats of a running trial; after three missing ones it counts as cut off.
        stale: called with a trial that was cut off, after its settings were queued again.

    Raises:
        TrainingError: the database cannot be reached or used.
        MissingExtraError: PostgreSQL without its driver.
    """
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_SECONDS}
        if url.database is not None:
            make_folder(Path(url.database).parent)
    else:
        options["connect_args"] = {"connect_timeout": _CONNECT_SECONDS}
    on_stale = _requeue_then(stale)
    for attempt in range(5):
        try:
            with database_errors(url), warnings.catch_warnings():
                # heartbeats are an experimental part of Optuna
                warnings.simplefilter("ignore", ExperimentalWarning)
                return SearchStorage(
                    url.render_as_string(hide_password=False),
                    options,
                    heartbeat_interval=heartbeat,
                    grace_period=3 * heartbeat,
                    heartbeat_stale_trial_callback=on_stale,
                )
        except ImportError:
            raise MissingExtraError("psycopg", "postgres", "a search in PostgreSQL") from None
        except _TablesAppeared:
            # two workers created the tables at the same moment: the second finds them on its next attempt
            time.sleep(0.2 * (attempt + 1))
    raise TrainingError(
        "the tables of the search could not be created", path=hide_password(url), code="database-failed"
    )


class _TablesAppeared(Exception):  # noqa: N818
    pass


@contextlib.contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Turn errors of the database into a `TrainingError`."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error) as error:
        reason = _reason(error)
        if "already exists" in reason or "pg_type_typname_nsp_index" in reason or "UNIQUE constraint" in reason:
            raise _TablesAppeared(reason) from error
        what = "make room" if "full" in reason else "check the address and the server"
        raise TrainingError(
            f"the database cannot be used ({reason})",
            path=hide_password(url),
            advice=f"{what}; finished trials are kept, and the same call with --resume continues with them",
            code="database-failed",
        ) from None


def _reason(error: BaseException) -> str:
    """The innermost message, on one line."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    original = getattr(error, "orig", None) or error
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Multiple connection attempts", "- host"))] or lines
    return lines[0].removeprefix("connection failed: ") if lines else type(original).__name__


def _requeue_then(stale: TrialCallback | None) -> TrialCallback:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        queue = RetryHeartbeatStaleTrialCallback(max_retry=MAX_ATTEMPTS - 1)

    def callback(study: Study, trial: FrozenTrial) -> None:
        queue(study, trial)
        if stale is not None:
            stale(study, trial)

    return callback
