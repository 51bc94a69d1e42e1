"""The worker process: ``python -m mien.batch.worker_process`` reads tasks on stdin and writes results to stdout.

It is a separate process so that a decoder that crashes, or memory that runs out, costs one shard's time and no more.
It ends when its input does, also in the middle of a shard: nothing is analysed for a driver that has ended.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mien.batch.settings import AnalysisSetup
from mien.batch.shard_analysis import RetryPolicy, analyse_shard
from mien.batch.types import Shard, ShardInput, ShardResult
from mien.errors import MienError
from mien.signals import ENDING


@dataclass(frozen=True, slots=True)
class StartMessage:
    """The first message: what to analyse with."""

    setup: AnalysisSetup
    threads: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to analyse; ``items`` where its inputs were read before."""

    shard: Shard
    retry: RetryPolicy
    items: Sequence[ShardInput] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InputPosition:
    """An answer: the input at this position comes next."""

    position: int


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The first answer: the models are loaded."""


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """An answer: the process cannot analyse at all, and why."""

    error: MienError


WorkerAnswer = ShardResult | InputPosition | WorkerReady | WorkerFailure


def main() -> None:
    """Serve until the input ends."""
    # Ctrl-C and `timeout` reach the whole group of processes; the driver handles them
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, tasks), daemon=True).start()
    try:
        _serve(tasks, out)
    except BrokenPipeError:
        os._exit(1)


def _serve(tasks: queue.SimpleQueue[Any], out: BinaryIO) -> None:
    start: StartMessage = tasks.get()
    try:
        analyzer = start.setup.analyzer(start.threads)
    except MienError as error:
        _send(out, WorkerFailure(error))
        return
    _send(out, WorkerReady())
    while True:
        task: ShardTask = tasks.get()
        try:
            answer: WorkerAnswer = analyse_shard(
                analyzer,
                start.setup.settings,
                task.shard,
                items=task.items,
                retry=task.retry,
                on_position=lambda position: _send(out, InputPosition(position)),
            )
        except MienError as error:
            answer = WorkerFailure(error)
        _send(out, answer)


def _receive(source: BinaryIO, tasks: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            tasks.put(pickle.load(source))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


def _send(out: BinaryIO, answer: WorkerAnswer) -> None:
    pickle.dump(answer, out, pickle.HIGHEST_PROTOCOL)
    out.flush()


if __name__ == "__main__":
    # pickles name the module that both sides import, not __main__
    from mien.batch.worker_process import main as serve

    serve()
