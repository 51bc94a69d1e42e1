"""Where a search is kept: a SQLite file, or a PostgreSQL database that many workers share.

What the database says when something is wrong becomes one line, without the password of its address.
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
from mien.files import output_errors

FILE = "study.db"
"""The SQLite file of a search without ``--storage``, in its folder."""
ATTEMPTS = 3
"""How often settings are tried whose trials were cut off (killed, machine lost)."""
_CONNECT_SECONDS = 10
_BUSY_SECONDS = 60

_SILENT = text(
    "SELECT t.number FROM trials t JOIN studies s ON s.study_id = t.study_id "
    "LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
    "WHERE s.study_name = :study AND t.state = 'RUNNING' AND h.trial_id IS NULL ORDER BY t.number"
)
Stale = Callable[[Study, FrozenTrial], None]


class Storage(RDBStorage):
    """Optuna's storage, whose heartbeat thread leaves a lost database to the trial itself to report."""

    @property
    def patience(self) -> float:
        """Seconds without a sign of life after which a trial was cut off."""
        return float(self.grace_period or 0)

    def silent(self, study: str) -> list[int]:
        """Numbers of the running trials that never gave a sign of life."""
        with self.engine.connect() as connection:
            return [row[0] for row in connection.execute(_SILENT, {"study": study})]

    def cut_off(self, study: Study, trial: FrozenTrial) -> None:
        """Queue the settings of a trial that was cut off again, unless they were cut off too often."""
        if self.heartbeat_stale_trial_callback is not None:
            self.heartbeat_stale_trial_callback(study, trial)

    def record_heartbeat(self, trial_id: int) -> None:
        """Say that the trial is still running."""
        with contextlib.suppress(SQLAlchemyError, StorageInternalError, sqlite3.Error):
            super().record_heartbeat(trial_id)


def address(storage: str | None, folder: Path) -> URL:
    """The database's address: ``storage``, or the file in ``folder``.

    Raises:
        InputError: not an address of SQLite or PostgreSQL.
    """
    if storage is None:
        return URL.create("sqlite", database=str(folder / FILE))
    wanted = "give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        url = make_url(storage)
    except ArgumentError:
        raise InputError(f"--storage is no database's address: {wanted}") from None
    backend = url.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise InputError(f"--storage in memory would be lost: {wanted}")
        return url
    raise InputError(f"--storage: {backend} is not supported: {wanted}")


def shown(url: URL) -> str:
    """The address without its password and its driver."""
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql")
    return url.render_as_string(hide_password=True)


def open_storage(url: URL, *, heartbeat: int, stale: Stale | None = None) -> Storage:
    """Connect and make the tables where there are none.

    Args:
        url: from `address`.
        heartbeat: seconds between signs of life of a running trial; after three without one it counts as cut off.
        stale: called with a trial that was cut off, after its settings were queued again.

    Raises:
        TrainingError: the database cannot be reached or used.
        MissingExtraError: PostgreSQL without its driver.
    """
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_SECONDS}
        if url.database is not None:
            with output_errors(url.database):
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    else:
        options["connect_args"] = {"connect_timeout": _CONNECT_SECONDS}
    again = _retry(stale)
    for attempt in range(5):
        try:
            with reachable(url), warnings.catch_warnings():
                # heartbeats are an experimental part of Optuna
                warnings.simplefilter("ignore", ExperimentalWarning)
                return Storage(
                    url.render_as_string(hide_password=False),
                    options,
                    heartbeat_interval=heartbeat,
                    grace_period=3 * heartbeat,
                    heartbeat_stale_trial_callback=again,
                )
        except ImportError:
            raise MissingExtraError("psycopg", "postgres", "a search in PostgreSQL") from None
        except _TablesAppeared:
            # two workers made the tables at the same moment: the second finds them on its next try
            time.sleep(0.2 * (attempt + 1))
    raise TrainingError(f"{shown(url)}: the tables of the search could not be made")


class _TablesAppeared(Exception):  # noqa: N818
    pass


@contextlib.contextmanager
def reachable(url: URL) -> Iterator[None]:
    """What the database says when it cannot be used becomes one `TrainingError`."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error) as error:
        said = _reason(error)
        if "already exists" in said or "pg_type_typname_nsp_index" in said or "UNIQUE constraint" in said:
            raise _TablesAppeared(said) from error
        raise TrainingError(
            f"{shown(url)}: the database cannot be used ({said}); check the address and the server; trials that ended "
            "are kept, and `--resume` goes on with them"
        ) from None


def _reason(error: BaseException) -> str:
    """The innermost message, on one line."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    original = getattr(error, "orig", None) or error
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Multiple connection attempts", "- host"))] or lines
    return lines[0].removeprefix("connection failed: ") if lines else type(original).__name__


def _retry(stale: Stale | None) -> Stale:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        queue = RetryHeartbeatStaleTrialCallback(max_retry=ATTEMPTS - 1)

    def callback(study: Study, trial: FrozenTrial) -> None:
        queue(study, trial)
        if stale is not None:
            stale(study, trial)

    return callback
