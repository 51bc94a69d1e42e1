"""The driver's end of a worker process: gives it shards, replaces it when it dies, finds the input that kills it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO

import mien
from mien.batch.settings import Prepared
from mien.batch.shard_analysis import Care
from mien.batch.types import Finished, Item, Shard
from mien.batch.worker_process import Answer, At, Ready, Refused, Start, Task
from mien.errors import OutputError

RETRIES = 2
"""Deaths on a shard after which its inputs are taken one by one, so that the one that kills can be named."""
MOST_DEATHS = 20
"""Deaths on a shard after which the rest of it is not touched any more."""
SILENCE = 600.0
"""Seconds without a sign of life after which a worker process counts as stuck."""
STARTS = 3
"""How often a process is started before starting counts as impossible."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class _DiedError(Exception):
    """The process ended in the middle of a shard."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position, self.reason = position, reason


class _GoneError(Exception):
    """No answer comes any more; ``stuck`` where the process was killed because none came for too long."""

    def __init__(self, stuck: bool) -> None:
        super().__init__()
        self.stuck = stuck


class Worker:
    """One worker process, started when it is needed. `run` is called from one thread at a time, `close` from any.

    Args:
        prepared: what to analyse with.
        threads: processor threads of the process.
        silence: seconds without a sign of life after which the process is killed as stuck.
    """

    def __init__(self, prepared: Prepared, *, threads: int = 1, silence: float = SILENCE) -> None:
        self._start = Start(prepared, threads)
        self._silence = silence
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, shard: Shard, items: Sequence[Item] | None = None) -> Finished:
        """Analyse a shard, however often the process dies.

        After `RETRIES` deaths inputs are taken one by one; one at which the process dies becomes a row with an error.
        After `MOST_DEATHS` all that follow do.

        Raises:
            MienError: the process cannot analyse at all.
        """
        care, deaths = Care(), 0
        while True:
            try:
                return replace(self._attempt(Task(shard, care, items)), deaths=deaths)
            except _DiedError as died:
                deaths += 1
                if care.end is not None:
                    raise OutputError(f"worker processes do not stay alive: {died.reason}") from None
                if deaths > MOST_DEATHS:
                    items, care = None, replace(care, end=died.position, dead={**care.dead, died.position: died.reason})
                elif care.one_by_one:
                    care = replace(care, dead={**care.dead, died.position: died.reason})
                elif deaths >= RETRIES:
                    care = replace(care, one_by_one=True)

    def close(self) -> None:
        """End the process at once; `run` in another thread then fails."""
        with self._lock:
            self._closed = True
            self._end()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _attempt(self, task: Task) -> Finished:
        process = self._running()
        position = 0
        message: Task | None = task
        while True:
            try:
                answer = self._exchange(process, message, self._silence)
            except _GoneError as gone:
                raise _DiedError(position, self._obituary(process, gone.stuck)) from None
            if isinstance(answer, Finished):
                return answer
            if isinstance(answer, At):
                position = answer.position
            message = None

    def _running(self) -> subprocess.Popen[bytes]:
        """A process with its models loaded: a death before that is no input's fault."""
        for _ in range(STARTS):
            with self._lock:
                if self._closed:
                    raise OutputError("the worker was closed")
                if self._process is not None:
                    return self._process
                self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
                process = self._process = subprocess.Popen(
                    [sys.executable, "-m", "mien.batch.worker_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=_environment(self._start.threads),
                )
            try:
                self._exchange(process, self._start, SILENCE)
            except _GoneError as gone:
                reason = self._obituary(process, gone.stuck)
            else:
                return process
        raise OutputError(f"worker processes do not start: {reason}")

    def _exchange(
        self, process: subprocess.Popen[bytes], message: Start | Task | None, silence: float
    ) -> Finished | At | Ready:
        """Send a message, if there is one, and wait for the next answer."""
        timer = threading.Timer(silence, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if message is not None:
                _send(process, message)
            answer = _receive(process)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            # a timer that has done its work is finished before it is cancelled
            raise _GoneError(timer.finished.is_set()) from None
        finally:
            timer.cancel()
        if isinstance(answer, Refused):
            raise answer.error
        return answer

    def _obituary(self, process: subprocess.Popen[bytes], stuck: bool) -> str:
        """How the process ended, in words; the next attempt starts another one."""
        with self._lock:
            if self._closed:
                raise OutputError("the worker was closed") from None
            process.kill()
            code = process.wait()
            said = self._last_words()
            self._end()
        if stuck:
            return f"the worker process gave no sign of life for {self._silence:.0f} seconds"
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            return f"the worker process was killed ({name})"
        return f"the worker process ended ({said or f'exit code {code}'})"

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(size - 4096, 0))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-1].split())[:200] if lines else ""

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    # what was not sent is of no use any more
                    with contextlib.suppress(OSError):
                        stream.close()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = None


def _send(process: subprocess.Popen[bytes], message: Start | Task) -> None:
    if process.stdin is None:
        raise EOFError
    pickle.dump(message, process.stdin, pickle.HIGHEST_PROTOCOL)
    process.stdin.flush()


def _receive(process: subprocess.Popen[bytes]) -> Answer:
    if process.stdout is None:
        raise EOFError
    answer = pickle.load(process.stdout)
    if not isinstance(answer, (Finished, At, Ready, Refused)):
        raise EOFError
    return answer


def _environment(threads: int) -> dict[str, str]:
    """The child's: its libraries take as many threads as it was given, and it finds this very package."""
    here = str(Path(mien.__file__).parents[1])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads)) | {"PYTHONPATH": os.pathsep.join(paths)}
