"""The driver's side of a worker process: sends it shards, restarts it when it dies, finds the input that kills it."""

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
from mien.batch.settings import AnalysisSetup
from mien.batch.shard_analysis import RetryPolicy
from mien.batch.types import Shard, ShardInput, ShardResult
from mien.batch.worker_process import InputPosition, ShardTask, StartMessage, WorkerAnswer, WorkerFailure, WorkerReady
from mien.errors import OutputError
from mien.files import check_temporary_folder
from mien.logger import get_logger

_log = get_logger(__name__)

ONE_BY_ONE_AFTER = 2
"""Deaths on a shard after which its inputs are analysed one by one, so that the one that kills can be named."""
MAX_DEATHS = 20
"""Deaths on a shard after which the rest of it is not analysed."""
SILENCE_TIMEOUT = 600.0
"""Seconds without an answer after which a worker process counts as stuck."""
MAX_STARTS = 3
"""Attempts to start a process before starting counts as impossible."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class _WorkerDiedError(Exception):
    """The process ended in the middle of a shard."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position, self.reason = position, reason


class _NoAnswerError(Exception):
    """No answer comes; ``stuck`` where the process was killed because none came for too long."""

    def __init__(self, stuck: bool) -> None:
        super().__init__()
        self.stuck = stuck


class WorkerProcess:
    """One worker process, started when it is needed. `run` is called from one thread at a time, `close` from any.

    Args:
        setup: what to analyse with.
        threads: processor threads of the process.
        silence: seconds without an answer after which the process is killed as stuck.
    """

    def __init__(self, setup: AnalysisSetup, *, threads: int = 1, silence: float = SILENCE_TIMEOUT) -> None:
        self._start = StartMessage(setup, threads)
        self._silence = silence
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, shard: Shard, items: Sequence[ShardInput] | None = None) -> ShardResult:
        """Analyse a shard, however often the process dies.

        After `ONE_BY_ONE_AFTER` deaths inputs are analysed one by one; an input at which the process dies becomes a row
        with an error. After `MAX_DEATHS` so do all inputs that follow.

        Raises:
            MienError: the process cannot analyse at all.
        """
        retry, deaths = RetryPolicy(), 0
        while True:
            try:
                return replace(self._attempt(ShardTask(shard, retry, items)), deaths=deaths)
            except _WorkerDiedError as death:
                deaths += 1
                _log.warning("shard %d, input %d: %s", shard.number, death.position, death.reason)
                if retry.stop is not None:
                    reason = f"worker processes do not stay alive: {death.reason}"
                    raise OutputError(reason, code="worker-killed") from None
                known = {**retry.deaths, death.position: death.reason}
                if deaths > MAX_DEATHS:
                    items, retry = None, replace(retry, stop=death.position, deaths=known)
                elif retry.one_by_one:
                    retry = replace(retry, deaths=known)
                elif deaths >= ONE_BY_ONE_AFTER:
                    retry = replace(retry, one_by_one=True)

    def close(self) -> None:
        """End the process at once; `run` in another thread then fails."""
        with self._lock:
            self._closed = True
            self._kill()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _attempt(self, task: ShardTask) -> ShardResult:
        process = self._live_process()
        position = 0
        message: ShardTask | None = task
        while True:
            try:
                answer = self._exchange(process, message, self._silence)
            except _NoAnswerError as error:
                raise _WorkerDiedError(position, self._exit_reason(process, error.stuck)) from None
            if isinstance(answer, ShardResult):
                return answer
            if isinstance(answer, InputPosition):
                position = answer.position
            message = None

    def _live_process(self) -> subprocess.Popen[bytes]:
        """A process with its models loaded: no input causes a death before that."""
        for _ in range(MAX_STARTS):
            with self._lock:
                if self._closed:
                    raise OutputError("the worker was closed")
                if self._process is not None:
                    return self._process
                process = self._start_process()
            try:
                self._exchange(process, self._start, SILENCE_TIMEOUT)
            except _NoAnswerError as error:
                reason = self._exit_reason(process, error.stuck)
            else:
                return process
        raise OutputError(f"worker processes do not start: {reason}", code="worker-start-failed")

    def _start_process(self) -> subprocess.Popen[bytes]:
        check_temporary_folder()
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mien.batch.worker_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=_environment(self._start.threads),
            )
        except OSError as error:
            raise OutputError(
                f"worker processes do not start: {error.strerror or error}",
                advice="make room for processes and open files, or give fewer --workers",
                code="worker-start-failed",
            ) from None
        return self._process

    def _exchange(
        self, process: subprocess.Popen[bytes], message: StartMessage | ShardTask | None, silence: float
    ) -> ShardResult | InputPosition | WorkerReady:
        """Send a message, if there is one, and wait for the next answer."""
        timer = threading.Timer(silence, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if message is not None:
                _send(process, message)
            answer = _receive(process)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            # a timer that has fired is finished before it is cancelled
            raise _NoAnswerError(timer.finished.is_set()) from None
        finally:
            timer.cancel()
        if isinstance(answer, WorkerFailure):
            raise answer.error
        return answer

    def _exit_reason(self, process: subprocess.Popen[bytes], stuck: bool) -> str:
        """How the process ended, in words; the next attempt starts another one."""
        with self._lock:
            if self._closed:
                raise OutputError("the worker was closed") from None
            process.kill()
            code = process.wait()
            message = self._last_stderr_line()
            self._kill()
        if stuck:
            return f"the worker process did not answer for {self._silence:.0f} seconds"
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            return f"the worker process was killed ({name})"
        return f"the worker process ended ({message or f'exit code {code}'})"

    def _last_stderr_line(self) -> str:
        if self._errors is None:
            return ""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(size - 4096, 0))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-1].split())[:200] if lines else ""

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    # what was not sent is not needed
                    with contextlib.suppress(OSError):
                        stream.close()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = None


def _send(process: subprocess.Popen[bytes], message: StartMessage | ShardTask) -> None:
    if process.stdin is None:
        raise EOFError
    pickle.dump(message, process.stdin, pickle.HIGHEST_PROTOCOL)
    process.stdin.flush()


def _receive(process: subprocess.Popen[bytes]) -> WorkerAnswer:
    if process.stdout is None:
        raise EOFError
    answer = pickle.load(process.stdout)
    if not isinstance(answer, (ShardResult, InputPosition, WorkerReady, WorkerFailure)):
        raise EOFError
    return answer


def _environment(threads: int) -> dict[str, str]:
    """The child's: its libraries use as many threads as it was given, and it imports this very package."""
    here = str(Path(mien.__file__).parents[1])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads)) | {"PYTHONPATH": os.pathsep.join(paths)}
