"""Processes that run a package: one that answers requests, and ones that are started afresh and timed whole."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beside.table import Environment

RUNNERS = Path(__file__).parent / "runners"
MARK = "@@"
"""What begins a line of a runner's that is an answer; anything else is the package's own talk."""
ANSWERING = 1200
"""Seconds that one answer may take."""
ALONE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
"""What keeps the libraries to one thread where there is one core."""


class Failed(Exception):  # noqa: N818
    """The package could not do it; the message is its own."""


def program(environment: Environment, folder: Path) -> str:
    return str(folder / "bin" / "python") if environment.kind == "python" else "node"


def surroundings(home: Path, alone: bool) -> dict[str, str]:
    """Environment variables: a home of its own, so that nothing is found or left in the user's; nothing of ours."""
    dropped = {*ALONE, "PYTHONPATH", "VIRTUAL_ENV"}
    variables = {name: value for name, value in os.environ.items() if name not in dropped}
    places = {"HOME": str(home), "DEEPFACE_HOME": str(home), "HF_HOME": str(home / "hf")}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    return variables | places | quiet | (ALONE if alone else {})


def command(environment: Environment, folder: Path, variant: str, *arguments: str) -> list[str]:
    start = [program(environment, folder), str(RUNNERS / environment.script)]
    return [*start, str(folder), variant, *arguments]


@dataclass(frozen=True)
class Whole:
    """A process from its start to its end: wall and processor seconds, peak resident megabytes, and its answer."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    answer: dict[str, Any]


def whole(run: list[str], home: Path, limit: float = 300) -> Whole:
    """Start a process and wait for it; `Failed` where it ends badly, with the last line of its output."""
    start = time.perf_counter()
    with (home / "errors.txt").open("w+b") as errors:
        child = subprocess.Popen(
            run, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=surroundings(home, False)
        )
        assert child.stdout is not None
        out = b""
        while True:
            left = limit - (time.perf_counter() - start)
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                child.kill()
                os.wait4(child.pid, 0)
                child.returncode = -9
                child.stdout.close()
                raise Failed(f"no result after {limit:.0f} seconds")
            part = os.read(child.stdout.fileno(), 65536)
            if not part:
                break
            out += part
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        child.stdout.close()
        errors.seek(0)
        message = errors.read().decode(errors="replace").strip().splitlines()
    answers = [line[len(MARK) :] for line in out.decode(errors="replace").splitlines() if line.startswith(MARK)]
    answer = json.loads(answers[-1]) if answers else {}
    if status or "error" in answer:
        raise Failed(str(answer.get("error") or (message[-1] if message else f"ended with {child.returncode}")))
    return Whole(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, answer)


class Served:
    """A package that was loaded once and answers requests; a context manager.

    Args:
        run: the command.
        home: an empty folder.
        core: the only processor it may use; None for all.
    """

    def __init__(self, run: list[str], home: Path, core: int | None = None) -> None:
        def bind() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})

        self._errors = (home / f"errors-{'all' if core is None else core}.txt").open("w+b")
        self._child = subprocess.Popen(
            run,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=surroundings(home, core is not None),
            preexec_fn=bind,
        )
        self._buffer = b""
        try:
            self.labels: tuple[str, ...] = tuple(self._answer().get("labels", ()))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._child.kill()
        self._child.wait(timeout=60)
        for stream in (self._child.stdin, self._child.stdout, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def ask(self, **request: Any) -> dict[str, Any]:
        """Its answer; `Failed` where it has none."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(request).encode() + b"\n")
        self._child.stdin.flush()
        return self._answer()

    def peak_mb(self) -> float:
        """Its peak resident memory until now."""
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        stop = time.monotonic() + ANSWERING
        while True:
            while b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                if line.startswith(MARK.encode()):
                    answer = json.loads(line[len(MARK) :])
                    if "error" in answer:
                        raise Failed(answer["error"])
                    return answer
            if not select.select([self._child.stdout], [], [], max(0.0, stop - time.monotonic()))[0]:
                raise Failed(f"no answer after {ANSWERING} seconds")
            part = os.read(self._child.stdout.fileno(), 65536)
            if not part:
                self._errors.seek(0)
                message = self._errors.read().decode(errors="replace").strip().splitlines()
                raise Failed(message[-1] if message else "it ended without a word")
            self._buffer += part


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def spread(values: list[float]) -> dict[str, float]:
    """Median, least, greatest and quartiles: what a column of the page holds."""
    ordered = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    return {
        "median": median(ordered), "least": ordered[0], "quarter": at(0.25), "three_quarters": at(0.75),
        "greatest": ordered[-1], "n": len(ordered),
    }  # fmt: skip


def pairs(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Ratios theirs / ours of what was measured one directly after the other."""
    return spread([b / a for a, b in zip(ours, theirs, strict=True)])
